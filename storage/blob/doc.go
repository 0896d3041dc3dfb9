// Package blob keeps the bytes. It knows nothing of assets or tenants, but for the digests in their keys when a whole
// store is copied (CopyStore): it puts, reads, lists, copies and
// deletes objects in two zones, quarantine and clean, and in a third one for snapshots of the database, and it is
// the same whether a zone is a folder on disk or an S3 bucket.
//
//	zones, err := blob.Open(ctx, blob.Config{Driver: blob.DriverDisk, Root: "/var/lib/gatehouse/store"})
//	err = zones.Quarantine.Put(ctx, key, spool, size, blob.PutOptions{})
//	body, info, err := zones.Clean.Open(ctx, key, 0, -1)
//	err = zones.Promote(ctx, key) // quarantine to clean, server side
//
// # What every driver promises
//
//   - A put is all or nothing. An object is there with exactly the declared bytes and safe against a crash, or
//     Put returned an error and nothing changed: no half object, and an object that was there before is intact.
//     A reader that is too short, too long, failing or cancelled is such an error.
//   - An overwrite is atomic: a reader that is already open keeps reading the old bytes.
//   - Keys follow one strict grammar (CheckKey), so no key means anything to a file system or an S3 server
//     beyond its name. A key may not be a folder of another key ("a/b" beside "a/b/c").
//   - List yields keys in byte order with bounded memory, and prefixes are whole folders ("tenant/", never
//     "tenant"), so a neighbour whose id begins alike is never listed.
//   - One object is one request to S3, never parts, so it is limited to 5 GiB there.
//   - Info.ModTime is when the object came to lie in its zone: a copy is as young as the copy. Sweepers rely on
//     it for their grace time.
//
// # Errors
//
// A missing key is ErrNotExist. ErrUnavailable marks what may succeed when tried again later (network, timeout,
// a server's 5xx or throttling, a full or failing disk); drivers have already retried what they could. ErrSize,
// ErrKey and ErrRange are the caller's mistakes and permanent. An error of the reader given to Put comes back
// as it was, wrapped. The end of ctx comes back as ctx.Err(), wrapped.
//
// # Files
//
// blob.go is the contract, key.go the grammar, source.go the exact reading of what is put; disk*.go and s3*.go
// are the drivers; copystore.go takes all of one store to another. A new store is one file and one case in Open, proved by the suite in blobtest.
package blob
