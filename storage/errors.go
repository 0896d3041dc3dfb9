package storage

import (
	"errors"
	"fmt"
	"maps"
)

// Code is the stable, machine-readable name of a refusal. Codes are part of the HTTP contract: they are never
// renamed. What a code means in HTTP (status, sentence) is decided in gateway/httpapi and nowhere else.
type Code string

// The codes a caller can meet.
const (
	CodeUnauthenticated     Code = "UNAUTHENTICATED"
	CodeMFARequired         Code = "MFA_REQUIRED"
	CodeForbidden           Code = "FORBIDDEN"
	CodeTenantSuspended     Code = "TENANT_SUSPENDED"
	CodePlanForbids         Code = "PLAN_FORBIDS"
	CodeNotFound            Code = "NOT_FOUND"
	CodeMethodNotAllowed    Code = "METHOD_NOT_ALLOWED"
	CodeAssetQuarantined    Code = "ASSET_QUARANTINED"
	CodeAssetDamaged        Code = "ASSET_DAMAGED"
	CodeDuplicateFile       Code = "DUPLICATE_FILE"
	CodeConflict            Code = "CONFLICT"
	CodeAssetRejected       Code = "ASSET_REJECTED"
	CodeLengthRequired      Code = "LENGTH_REQUIRED"
	CodeFileTooLarge        Code = "FILE_TOO_LARGE"
	CodeExtensionNotAllowed Code = "EXTENSION_NOT_ALLOWED"
	CodeTypeNotAllowed      Code = "TYPE_NOT_ALLOWED"
	CodeTypeMismatch        Code = "TYPE_MISMATCH"
	CodeRangeNotSatisfiable Code = "RANGE_NOT_SATISFIABLE"
	CodeFileEmpty           Code = "FILE_EMPTY"
	CodeFilenameInvalid     Code = "FILENAME_INVALID"
	CodeContentUnsafe       Code = "CONTENT_UNSAFE"
	CodeDigestMismatch      Code = "DIGEST_MISMATCH"
	CodeRateLimited         Code = "RATE_LIMITED"
	CodeQuotaExceeded       Code = "QUOTA_EXCEEDED"
	CodeUnavailable         Code = "UNAVAILABLE"
	CodeUploadIncomplete    Code = "UPLOAD_INCOMPLETE"
	CodeMalformedRequest    Code = "MALFORMED_REQUEST"
	CodeInternal            Code = "INTERNAL"
)

// The codes of the release API and of its operators' calls.
const (
	CodeReleaseVersionInvalid     Code = "RELEASE_VERSION_INVALID"
	CodeReleaseHeartbeatInvalid   Code = "RELEASE_HEARTBEAT_INVALID"
	CodeReleaseChecksumMismatch   Code = "RELEASE_CHECKSUM_MISMATCH"
	CodeReleaseDeviceTokenInvalid Code = "RELEASE_DEVICE_TOKEN_INVALID"
	CodeReleasePermissionDenied   Code = "RELEASE_PERMISSION_DENIED"
	CodeReleaseArtifactNotFound   Code = "RELEASE_ARTIFACT_NOT_FOUND"
	CodeReleasePublishedConflict  Code = "RELEASE_PUBLISHED_CONFLICT"
	CodeReleaseNotPublishable     Code = "RELEASE_NOT_PUBLISHABLE"
	CodeReleaseRateLimited        Code = "RELEASE_RATE_LIMITED"
)

// Reason says why, where one code has many causes. The slug is stable and appears as details.reason; the two
// sentences are shown to people.
type Reason struct {
	Slug    string
	English string
	Chinese string
}

// Details are the facts of a refusal that a program can act on: limits, sizes, names. Values are strings,
// integers or booleans; where there are many reasons, "reasons" is a list of structs with JSON names.
type Details map[string]any

// Error is a refusal by the domain. It carries facts, never an HTTP status or a finished sentence.
type Error struct {
	Code    Code
	Reason  *Reason
	Details Details
	// Cause is for the log only; it is never shown to the caller.
	Cause error
}

// Refuse makes a refusal. details may be nil.
func Refuse(code Code, details Details) *Error { return &Error{Code: code, Details: details} }

// Because returns a copy of e with the reason set, also under details.reason.
func (e *Error) Because(r Reason) *Error {
	c := *e
	c.Reason = &r
	c.Details = maps.Clone(e.Details)
	if c.Details == nil {
		c.Details = Details{}
	}
	c.Details["reason"] = r.Slug
	return &c
}

// CausedBy returns a copy of e with the inner error kept for the log.
func (e *Error) CausedBy(err error) *Error {
	c := *e
	c.Cause = err
	return &c
}

func (e *Error) Error() string {
	s := string(e.Code)
	if e.Reason != nil {
		s += " (" + e.Reason.Slug + ")"
	}
	if e.Cause != nil {
		s = fmt.Sprintf("%s: %v", s, e.Cause)
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// CodeOf returns the code of the first *Error in err's chain, and "" when there is none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// ErrNotFound is what the stores return for a row or object that is not there (for this tenant).
var ErrNotFound = Refuse(CodeNotFound, nil)
