package storage

// Locale is a language that sentences for people are written in.
type Locale int

// The locales.
const (
	LocaleEnglish Locale = iota
	LocaleChinese        // Simplified
)

// Tag is the locale's BCP 47 tag, for Content-Language.
func (l Locale) Tag() string {
	if l == LocaleChinese {
		return "zh-Hans"
	}
	return "en"
}

// In is the reason's sentence in a language.
func (r Reason) In(l Locale) string {
	if l == LocaleChinese {
		return r.Chinese
	}
	return r.English
}
