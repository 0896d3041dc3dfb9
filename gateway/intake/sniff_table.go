package intake

import (
	"slices"

	"gatehouse/gateway/intake/sniff"
	"gatehouse/storage"
)

// The media types that Gatehouse stores.
const (
	typeJPEG = "image/jpeg"
	typePNG  = "image/png"
	typeGIF  = "image/gif"
	typeWebP = "image/webp"
	typeHEIC = "image/heic"
	typeHEIF = "image/heif"
	typeAVIF = "image/avif"
	typeMP4  = "video/mp4"
	typeM4V  = "video/x-m4v"
	typeMOV  = "video/quicktime"
	typeWebM = "video/webm"
	typeMKV  = "video/x-matroska"
	typePDF  = "application/pdf"
	typeDOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	typeXLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	typePPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
	typeText = "text/plain"
	typeCSV  = "text/csv"
	typeMD   = "text/markdown"

	// typeZIP is what an Office file looks like whose telling parts come late in the package.
	typeZIP = "application/zip"
)

// extensionTypes is THE table: for each extension, which sniffed types agree with it and the canonical media type
// that each becomes. Files of releases have a list of their own (package installer).
//
// A row that takes typeZIP leaves it to be proved: a package may begin with any member, and the bytes that say
// "this is Word" may come megabytes later. The ooxml rule, which sees the whole file, refuses what is a bare ZIP.
// In the same way typeText is proved by the text rule.
var extensionTypes = map[string]map[string]string{
	"jpg":  {typeJPEG: typeJPEG},
	"jpeg": {typeJPEG: typeJPEG},
	"png":  {typePNG: typePNG},
	"gif":  {typeGIF: typeGIF},
	"webp": {typeWebP: typeWebP},
	"heic": {typeHEIC: typeHEIC},
	"heif": {typeHEIF: typeHEIF, typeHEIC: typeHEIC}, // cameras name HEVC-coded HEIF either way
	"avif": {typeAVIF: typeAVIF},

	"mp4":  {typeMP4: typeMP4, typeM4V: typeMP4}, // M4V is Apple's brand on an MP4
	"m4v":  {typeM4V: typeMP4, typeMP4: typeMP4},
	"mov":  {typeMOV: typeMOV},
	"webm": {typeWebM: typeWebM},
	"mkv":  {typeMKV: typeMKV},

	"pdf":  {typePDF: typePDF},
	"docx": {typeDOCX: typeDOCX, typeZIP: typeDOCX},
	"xlsx": {typeXLSX: typeXLSX, typeZIP: typeXLSX},
	"pptx": {typePPTX: typePPTX, typeZIP: typePPTX},
	"txt":  {typeText: typeText},
	"csv":  {typeText: typeCSV},
	"md":   {typeText: typeMD},
}

// inAllowedCategory reports whether a sniffed type agrees with any extension that the policy allows. A ZIP does not
// count: as such it is allowed nowhere.
func inAllowedCategory(p *storage.Policy, detected string) bool {
	if detected == typeZIP || detected == sniff.Unknown {
		return false
	}
	for _, category := range p.Categories {
		for _, ext := range category.Extensions {
			if _, ok := extensionTypes[ext][detected]; ok {
				return true
			}
		}
	}
	return false
}

// expectedTypes lists the canonical types of a row, sorted.
func expectedTypes(row map[string]string) []string {
	var types []string
	for _, t := range row {
		types = append(types, t)
	}
	slices.Sort(types)
	return slices.Compact(types)
}
