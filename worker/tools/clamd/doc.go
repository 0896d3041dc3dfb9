// Package clamd asks ClamAV whether bytes are safe, and says clean only on evidence.
//
//	scanner, err := clamd.New(clamd.Config{Address: "unix:///run/clamd.sock"})
//	verdict, err := scanner.Scan(ctx, file, size)
//	if err == nil && verdict.Status == storage.ScanClean && verdict.Holds(size, sha256) { ... }
//
// # What an answer means
//
// Scan returns a storage.Verdict or an error, never both. Only an answer that is exactly one record, exactly
// "OK", over exactly the declared number of bytes, with the same signature database before and after, is
// clean. The families Heuristics.Limits.* and Heuristics.Encrypted.*, and a stream over StreamMaxLength, are
// "unscannable": clamd did not look inside. Every other FOUND is "infected". All else is an error:
//
//   - errors.Is(err, ErrUnavailable): nothing is known about this file, because the scanner cannot be reached
//     or cannot scan anything, or its database changed. Wait and try again; do not count an attempt.
//   - any other error: this scan failed (reader failed, clamd hung up midway, timeout). Try again and count
//     the attempt, because a file that kills its scanner must not be tried for ever.
//
// clamd answers OK without looking at files of five bytes or fewer. No known threat fits in them, so Scan
// passes that answer on. It also never looks into some damaged or exotic archives; gateway/intake refuses those
// before they come here.
//
// # Two ways to clamd
//
// Over a Unix socket the file's descriptor is passed (FILDES, fildes.go): nothing is copied through the socket,
// clamd needs no permission on the file, and we hash the same bytes while it scans. An *os.File is passed as
// it is; anything else is spooled first (spool.go). Over TCP the bytes are streamed with dutchcoders/go-clamd
// (instream.go), wrapped so that none of its defects can turn a failure into a clean verdict.
//
// # Which database
//
// A verdict names the database it rests on (fingerprint.go). clamd's VERSION names it when the official
// "daily" database is loaded; with local signatures only it does not, and Config.Fingerprint must say.
//
// # Daemon
//
// In embedded mode Daemon runs clamd as a supervised child (daemon.go), with a configuration written here
// (daemonconf.go) and the machine's database if there is one, else the two bundled test signatures; their
// fingerprint starts with TestSignaturesPrefix, so that every verdict says how little it is worth.
package clamd
