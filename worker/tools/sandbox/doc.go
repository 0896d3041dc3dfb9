// Package sandbox runs programs that read foreign bytes in a child process that can do no harm.
package sandbox
