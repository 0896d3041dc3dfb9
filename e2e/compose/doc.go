// Package compose checks docker-compose.yml without Docker: that it loads, that nothing in it has a default
// password, that the programs accept the configuration it gives them, and that the limits of the proxy and the
// scanner in it fit those of the configuration.
package compose
