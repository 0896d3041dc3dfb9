// Package installer tells whether a file is what electron-builder makes under its extension: programs and packages for people to
// install, and what electron-updater reads beside them.
//
//	formats.go   THE list: extension, media type, and what the bytes must have
//	blockmap.go  the list of a file's blocks
//	gzip.go      one gzip stream and nothing behind it
//
// It proves the container, not its harmlessness: a program is free to do what it wants, and the scanner judges that. What it
// keeps out is a file that one program takes for an installer and another for something else. Archives of ZIP are judged by
// package ooxml, which reads them in one way only. Memory is constant, also for a block map: it is read token by token.
package installer
