package httpapi

import "golang.org/x/text/language"

// Locale is a language that sentences for people are written in.
type Locale int

// The locales.
const (
	English Locale = iota
	Chinese        // Simplified
)

// matcher's order is Locale's. The matcher gives Simplified Chinese to readers of Traditional Chinese too: it is
// what we have, and closer than English unless they ask for English first.
var matcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// maxAcceptLanguage bounds what is parsed; browsers send under 100 bytes.
const maxAcceptLanguage = 512

// LocaleOf reads an Accept-Language header. English is for everything that is absent, unreadable or other.
func LocaleOf(header string) Locale {
	if header == "" || len(header) > maxAcceptLanguage {
		return English
	}
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return English
	}
	for i, w := range weights { // q=0 means: not this one
		if w <= 0 {
			tags = tags[:i] // they are sorted by weight
			break
		}
	}
	_, index, confidence := matcher.Match(tags...)
	if confidence == language.No {
		return English
	}
	return Locale(index)
}

// Tag is the locale's BCP 47 tag, for Content-Language.
func (l Locale) Tag() string {
	if l == Chinese {
		return "zh-Hans"
	}
	return "en"
}
