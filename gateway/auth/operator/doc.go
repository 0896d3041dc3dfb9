// Package operator says which operator a request comes from, and how sure of it we are. Operators are people who run the
// platform; they are never a tenant's users, and nothing of a tenant's key works here.
package operator
