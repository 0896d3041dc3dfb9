// Package release is what both programs know of the releases of desktop applications: how versions compare, which device is in
// a stage, which moves a release may make, what electron-updater reads, and what of it all is published.
//
//	release.go  the nouns: states and their moves, kinds of artifacts
//	track.go    channels, platforms, architectures: where one release at a time is published
//	version.go  semantic versions, as node-semver judges them
//	arrival.go  which files a draft takes, before they come in
//	stage.go    staged rollouts, as electron-updater counts devices
//	serve.go    which release a device gets
//	draft.go    drafts; artifact.go their files
//	check.go    why a release cannot be published, by its rows; taken.go by the names of earlier ones; hash.go by its bytes;
//	            scanners.go because nobody knows what a verdict must be of
//	examine.go  all of these together; rehearse.go without the bytes
//	publish.go  make an examined release the one of its track
//	steer.go    percentage, pause, resume, unpublish, force, archive
//	rollback.go what going back would do
//
// What changes rows is a step of a transaction, and writes its audit record there.
//
// Artifacts are assets of the platform's tenant. They come in by the same intake, are scanned by the same job and lie in the
// same zones as every other file; a release only names them.
package release
