// Package configs is everything that is configuration: the struct that both programs read, the documented
// default beside it, and the checks that stop a start with a wrong value.
//
// gatehouse.yaml is the documentation and the default in one: it is embedded, and a test holds it and Config in
// step. Load puts the layers on each other, later ones winning:
//
//	gatehouse.yaml (embedded) < the file of --config or GATEHOUSE_CONFIG < the environment
//
// A mapping is merged key by key (a plan set to null is removed), a list replaces the list below it.
//
// In the environment every key has the name of its path in upper snake case: http.addr is GATEHOUSE_HTTP_ADDR,
// plans.free.storage_bytes is GATEHOUSE_PLANS_FREE_STORAGE_BYTES. Lists are comma-separated; a preset is written
// name=long_edge. A secret may also come from a file whose path is in the variable with _FILE behind its name.
// DATABASE_URL is honoured when GATEHOUSE_DATABASE_URL is not set. A plan that only the environment names is
// unknown: new plans need a file.
//
// Nothing is ignored: an unknown key, an unknown GATEHOUSE_ variable and an impossible value are all reported,
// together, each with its full name, the value (never that of a secret) and what is allowed.
//
// The package is a leaf: it imports nothing of the program, and only the mains import it. They hand each part its
// own plain settings.
package configs
