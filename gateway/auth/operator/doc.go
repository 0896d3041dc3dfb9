// Package operator says which operator a request comes from, and how sure of it we are. Operators are people who run the
// platform; they are never a tenant's users, and nothing of a tenant's key works here.
//
// A Desk does all that concerns their accounts. Whoever wants to get in walks these stages: a one-time link or a password
// (login.go, setup.go) gives a session that is good for nothing but the second factor (totp.go, recovery.go); that makes it a full
// one, under a new secret (session.go). What is dangerous takes a fresh code of the second factor (stepup.go). Programs come with a
// token (token.go) and can never do what takes such a code.
//
// Everything that can be guessed is counted in the database before it is judged (lockout.go), so that any number of gateways
// together give no more verdicts than one would. Passwords are hashed by hashing.go and judged by password.go; secrets.go seals and
// makes secrets. manage.go and networks.go are what a super changes about other operators and about where they may come from.
package operator
