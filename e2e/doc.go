// Package e2e holds the black-box tests: the two real programs against real services, spoken to over HTTP and
// hit with signals. The programs are built once for all tests (package rig).
package e2e
