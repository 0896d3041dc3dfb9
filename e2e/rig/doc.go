// Package rig starts the two real programs for black-box tests and the benchmark, in embedded or distributed
// mode, on ports and folders of their own, and speaks the tenant API to them. Only tests and the benchmark import
// it.
package rig
