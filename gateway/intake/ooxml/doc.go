// Package ooxml judges Word, Excel and PowerPoint packages (docx, xlsx, pptx) before anything else opens them.
//
// A package is a ZIP archive, and archives are dangerous where two readers disagree about them. So this is no
// tolerant reader: the archive must be readable in one way only. directory.go and entry.go read the central
// directory, layout.go holds it against the local headers and demands that members lie one behind the other with
// nothing between them, member.go really inflates each member and demands the promised size and checksum. What
// the members say is judged on the way: relations.go (remote parts, main part), types.go (content types),
// content.go (programs, macros and objects among the members), fields.go (DDE), and below them xml.go and
// encoding.go (the scanner of markup).
//
// archive.go is the same walk for archives that are no documents (files of releases).
//
// Memory is constant: one member name and header for each of at most Limits.MaxZipMembers members, and fixed
// buffers. Time is bounded by Limits.MaxZipUnpackedBytes.
//
// What it does not see: inside an embedded package (a chart's workbook, say) only the names of the members are
// looked at; inside an OLE object only the names of its streams; fields whose instruction is put together by
// other fields; exploits of a particular reader in otherwise ordinary markup or pictures. Those are the
// scanner's trade.
package ooxml
