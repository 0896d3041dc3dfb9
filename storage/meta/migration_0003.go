package meta

// mediaFactsUp adds what the media jobs find out: enough for a page to draw a placeholder and a player.
func mediaFactsUp(Dialect) []string {
	return []string{
		`ALTER TABLE blobs ADD COLUMN media_reason varchar(64) NOT NULL DEFAULT ''`,
		`ALTER TABLE blobs ADD COLUMN dominant_color varchar(7) NOT NULL DEFAULT ''`,
		`ALTER TABLE blobs ADD COLUMN thumb_hash varchar(64) NOT NULL DEFAULT ''`,
		`ALTER TABLE blobs ADD COLUMN duration_ms bigint NOT NULL DEFAULT 0`,
		`ALTER TABLE blobs ADD COLUMN fps {real} NOT NULL DEFAULT 0`,
		`ALTER TABLE blobs ADD COLUMN video_codec varchar(32) NOT NULL DEFAULT ''`,
		`ALTER TABLE blobs ADD COLUMN audio_codec varchar(32) NOT NULL DEFAULT ''`,
		`ALTER TABLE variants ADD COLUMN key_tag varchar(12) NOT NULL DEFAULT ''`,
	}
}

func mediaFactsDown(Dialect) []string {
	out := []string{"ALTER TABLE variants DROP COLUMN key_tag"}
	for _, c := range []string{
		"audio_codec", "video_codec", "fps", "duration_ms", "thumb_hash", "dominant_color", "media_reason",
	} {
		out = append(out, "ALTER TABLE blobs DROP COLUMN "+c)
	}
	return out
}
