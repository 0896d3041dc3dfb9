package httpapi

import (
	"github.com/gofiber/fiber/v2"
	"golang.org/x/text/language"

	"gatehouse/storage"
)

// matcher's order is that of storage's locales. The matcher gives Simplified Chinese to readers of Traditional Chinese too: it is
// what we have, and closer than English unless they ask for English first.
var matcher = language.NewMatcher([]language.Tag{language.English, language.SimplifiedChinese})

// maxAcceptLanguage bounds what is parsed; browsers send under 100 bytes.
const maxAcceptLanguage = 512

// Locale is the language that the caller wants sentences in.
func Locale(c *fiber.Ctx) storage.Locale { return LocaleOf(c.Get(fiber.HeaderAcceptLanguage)) }

// LocaleOf reads an Accept-Language header. English is for everything that is absent, unreadable or other.
func LocaleOf(header string) storage.Locale {
	if header == "" || len(header) > maxAcceptLanguage {
		return storage.LocaleEnglish
	}
	tags, weights, err := language.ParseAcceptLanguage(header)
	if err != nil {
		return storage.LocaleEnglish
	}
	for i, w := range weights { // q=0 means: not this one
		if w <= 0 {
			tags = tags[:i] // they are sorted by weight
			break
		}
	}
	_, index, confidence := matcher.Match(tags...)
	if confidence == language.No {
		return storage.LocaleEnglish
	}
	return storage.Locale(index)
}
