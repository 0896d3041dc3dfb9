package operator

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go"

	"gatehouse/storage"
)

// What holds for passwords.
const (
	minPassword = 10 // characters
	maxPassword = 128
	// passwordMaxAge is when a password has to be changed.
	passwordMaxAge = 90 * 24 * time.Hour
	// passwordsKept is how many of the last ones may not be chosen again.
	passwordsKept = 5
	// minScore of zxcvbn: 3 is "safely unguessable", good against guessing at a slow hash. Below are the common ones with their
	// substitutions (P@ssw0rd123!), names, dates, rows of keys and what is put together from these.
	minScore = 3
)

// judge refuses a password that breaks a rule, and says which.
func judge(password, name string) error {
	switch {
	case len(password) > maxPassword:
		return weak("password_too_long", fmt.Sprintf("The password has more than %d bytes.", maxPassword), fmt.Sprintf("密码超过 %d 个字节。", maxPassword))
	case !utf8.ValidString(password) || strings.ContainsFunc(password, unicode.IsControl):
		return weak("password_characters", "The password has characters that are no text.", "密码包含非文本字符。")
	case utf8.RuneCountInString(password) < minPassword:
		return weak("password_too_short", fmt.Sprintf("The password has fewer than %d characters.", minPassword), fmt.Sprintf("密码少于 %d 个字符。", minPassword))
	case kinds(password) < 4:
		return weak("password_kinds", "The password needs a lower-case letter, an upper-case letter, a digit and another character.",
			"密码必须同时包含小写字母、大写字母、数字和其他字符。")
	case strings.Contains(strings.ToLower(password), strings.ToLower(name)):
		return weak("password_has_name", "The password has the operator's name in it.", "密码包含操作员的名称。")
	case zxcvbn.PasswordStrength(password, []string{name, "gatehouse", "operator"}).Score < minScore:
		return weak("password_common", "The password is a common one, or put together from what is easily guessed. Choose another one, such as several unrelated words.",
			"密码过于常见或由容易猜到的内容组成。请换一个，例如由多个不相关的单词组成。")
	}
	return nil
}

func weak(slug, english, chinese string) error {
	return refuse(storage.CodeMalformedRequest, slug, english, chinese)
}

// kinds counts the kinds of characters.
func kinds(password string) int {
	var lower, upper, digit, other int
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower = 1
		case unicode.IsUpper(r):
			upper = 1
		case unicode.IsDigit(r):
			digit = 1
		default:
			other = 1
		}
	}
	return lower + upper + digit + other
}

// fit refuses a password that breaks a rule or that the operator had lately.
func (d *Desk) fit(ctx context.Context, operatorID, name, password string) error {
	if err := judge(password, name); err != nil {
		return err
	}
	had, err := d.db.LastPasswords(ctx, operatorID, passwordsKept)
	if err != nil {
		return fmt.Errorf("read the last passwords: %w", err)
	}
	for _, hash := range had {
		same, err := d.hashes.matches(ctx, hash, password)
		if err != nil {
			return err
		}
		if same {
			return weak("password_reused", fmt.Sprintf("The password is one of the last %d.", passwordsKept), fmt.Sprintf("该密码是最近 %d 个密码之一。", passwordsKept))
		}
	}
	return nil
}
