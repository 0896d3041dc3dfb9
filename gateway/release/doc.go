// Package release is what desktop clients ask for their updates. Everything here is public and reads only.
//
//	latest.go   GET updates/latest: is there something newer for this device?
//	feed.go     GET feed/{channel}/{platform}/{arch}/{file}: electron-updater's manifest, or a file beside it
//	file.go     GET feed/{channel}/{platform}/{arch}/{version}/{name}: a file of a release
//
//	catalog.go  what is published, read from the database once a second at most
//	offer.go    a published release with its answers, ready to be sent
//	pieces.go   a reader that hands out nothing it has not checked
//	lists.go    the digests it checks against, as many as there is memory for
//	damage.go   what happens when they do not fit
//
// Thousands of clients ask the first two questions each day, whether or not there is news; they are answered from memory. Each
// download asks the database anew whether the file may be read now: a file that is found to be infected disappears at once from
// where its bytes are, and within a second from what is offered.
//
// # No byte unchecked
//
// A release is signed off for certain bytes, and its digests are written down when it is published: one for each piece of
// release.PieceBytes. The store may be changed behind the system's back, before a download or in the middle of it. So whole
// pieces are read, and only those that have their digest are handed out; the first before the response begins. A wrong piece ends the
// response short of its announced length, and the file is marked as damaged: it is offered to nobody from then on.
package release
