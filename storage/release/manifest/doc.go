// Package manifest is the file that electron-updater asks for updates: latest.yml and its siblings. It is written here for releases
// that came without one, and read here from those that publishers upload.
//
//	manifest.go  what a manifest says
//	make.go      write one
//	none.go      the one that says "no update"
//	list.go      which files of a release stand in its manifest
//	parse.go     read one from outside, with bounds
//	source.go    what is refused because readers of YAML differ about it
//	check.go     compare one with the release that it stands for
//	url.go       the addresses that are allowed in it
//	problems.go  what can be wrong, in words
//
// What an updater reads is what js-yaml makes of the bytes. The reader here refuses whatever two readers of YAML could take for two
// different things, so that what was checked is what clients act on.
package manifest
