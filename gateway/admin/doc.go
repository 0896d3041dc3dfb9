// Package admin is what operators do. Its use cases serve the command line now and the admin API later; every
// one of them writes to the audit log in the transaction of what it does.
package admin
