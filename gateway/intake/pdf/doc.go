// Package pdf judges a PDF without rendering it: is it whole, is it only a PDF, and does it contain anything
// that acts by itself.
//
// It is a detector at the level of tokens. It does not follow the cross-reference table, because a table says
// only what one reader looks at; it looks at every place from which any reader could start: scan.go finds each
// "1 0 obj" and each "trailer" anywhere in the file, even inside strings, comments, streams and old revisions,
// and object.go reads tokens from there to the end of that object. Streams are not read, so words on a page are
// no findings, except object streams: objstm.go unpacks them (filter.go) and reads the objects inside. What
// cannot be unpacked there is refused. frame.go looks at the beginning and the end of the file.
//
// Names count where they can mean something: as a key or value of a dictionary or as an object of their own,
// with #xx escapes undone; not in strings, comments or arrays (a glyph may be called /JS in an encoding).
//
// Memory is constant; time is bounded by the size of the file and by Options.MaxInflateBytes.
//
// What it does not see: actions inside encrypted files (which are refused as a whole, see object.go), links to
// javascript: or file: addresses (every reader asks before it opens one), remote go-to actions to a share,
// scripts in SVG or XFA packets that no dictionary names, and exploits in fonts, pictures and page contents;
// those are the scanner's trade. A page that shows the source of a PDF, uncompressed, with "1 0 obj" and an
// active name in it is refused in error.
package pdf
