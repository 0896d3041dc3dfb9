#include "helper.h"

#include <signal.h>
#include <string.h>

// The texts of all warnings since the last gh_warnings: libvips tells of cut-off pictures in no other way.
static GMutex warnings_lock;
static char warnings[4096];

static void keep_warning(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer data) {
	if ((level & (G_LOG_LEVEL_ERROR | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING)) == 0)
		return;
	g_mutex_lock(&warnings_lock);
	g_strlcat(warnings, text, sizeof(warnings));
	g_strlcat(warnings, "\n", sizeof(warnings));
	g_mutex_unlock(&warnings_lock);
}

// bimg has started libvips before any function of its own can be called. Nothing is cached: every picture is
// seen once. Decoded pictures stay in memory, whose limit holds: the sandbox forbids to create files.
// Limits of time and file size kill: Go would ignore their signals.
void gh_start(void) {
	signal(SIGXCPU, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	vips_cache_set_max(0);
	g_log_set_default_handler(keep_warning, NULL);
}

int gh_warnings(char *into, int size) {
	g_mutex_lock(&warnings_lock);
	int n = (int) g_strlcpy(into, warnings, size);
	warnings[0] = '\0';
	g_mutex_unlock(&warnings_lock);
	return MIN(n, size - 1);
}

int gh_error(char *into, int size) {
	int n = (int) g_strlcpy(into, vips_error_buffer(), size);
	vips_error_clear();
	return MIN(n, size - 1);
}

// replace takes the result of an operation, and gives back what it was made from.
static int replace(VipsImage **image, int failed, VipsImage **result) {
	g_object_unref(*image);
	*image = failed ? NULL : *result;
	return failed;
}

static void *forget_field(VipsImage *image, const char *name, GValue *value, void *data) {
	if (strcmp(name, "delay") != 0 && strcmp(name, "loop") != 0 && strcmp(name, VIPS_META_PAGE_HEIGHT) != 0)
		*(GSList **) data = g_slist_prepend(*(GSList **) data, g_strdup(name));
	return NULL;
}

// forget removes all metadata but the frames' heights and times.
static void forget(VipsImage *image) {
	GSList *names = NULL;
	vips_image_map(image, forget_field, &names);
	for (GSList *at = names; at; at = at->next)
		vips_image_remove(image, at->data);
	g_slist_free_full(names, g_free);
}

// settle brings an image to memory in the form that helper.h promises, and takes it over.
static VipsImage *settle(VipsImage *image) {
	VipsImage *t = NULL;
	if (image->Type != VIPS_INTERPRETATION_sRGB) {
		if (replace(&image, vips_colourspace(image, &t, VIPS_INTERPRETATION_sRGB, NULL), &t))
			return NULL;
	}
	if (image->BandFmt != VIPS_FORMAT_UCHAR) {
		if (replace(&image, vips_cast_uchar(image, &t, NULL), &t))
			return NULL;
	}
	if (image->Bands > 4) {
		if (replace(&image, vips_extract_band(image, &t, 0, "n", 4, NULL), &t))
			return NULL;
	}
	t = vips_image_copy_memory(image);
	if (replace(&image, t == NULL, &t))
		return NULL;
	forget(image);
	return image;
}

// frame is one frame in the wanted size, or the same size when width is 0. vips_thumbnail_image weights colours by
// their opacity and goes through the embedded colour profile.
static VipsImage *frame(VipsImage *in, int top, int frame_height, int width, int height) {
	VipsImage *image = NULL, *t = NULL;
	if (vips_extract_area(in, &image, 0, top, in->Xsize, frame_height, NULL))
		return NULL;
	vips_image_remove(image, VIPS_META_PAGE_HEIGHT);
	vips_image_remove(image, VIPS_META_N_PAGES);
	width = width ? width : in->Xsize;
	height = height ? height : frame_height;
	int failed;
	if (vips_image_get_typeof(image, VIPS_META_ICC_NAME)) {
		failed = vips_thumbnail_image(image, &t, width, "height", height, "size", VIPS_SIZE_FORCE, "no_rotate", TRUE,
			"export_profile", "srgb", NULL);
	} else {
		// Without a profile to come from, the export would shift the colours.
		failed = vips_thumbnail_image(image, &t, width, "height", height, "size", VIPS_SIZE_FORCE, "no_rotate", TRUE, NULL);
	}
	if (replace(&image, failed, &t))
		return NULL;
	return settle(image);
}

// Each frame is scaled by itself, so that none bleeds into its neighbour.
static VipsImage *scale(VipsImage *in, int width, int height) {
	int from = vips_image_get_page_height(in);
	int n = in->Ysize / from;
	if (n == 1)
		return frame(in, 0, from, width, height);
	VipsImage *out = NULL, *joined = NULL;
	VipsImage **frames = g_new0(VipsImage *, n);
	int made = 0;
	while (made < n && (frames[made] = frame(in, made * from, from, width, height)))
		made++;
	if (made == n && !vips_arrayjoin(frames, &joined, n, "across", 1, NULL)) {
		out = vips_image_copy_memory(joined);
		g_object_unref(joined);
	}
	if (out) {
		int *delay, delays, loop;
		vips_image_set_int(out, VIPS_META_PAGE_HEIGHT, vips_image_get_height(frames[0]));
		if (vips_image_get_typeof(in, "delay") && !vips_image_get_array_int(in, "delay", &delay, &delays))
			vips_image_set_array_int(out, "delay", delay, delays);
		if (vips_image_get_typeof(in, "loop") && !vips_image_get_int(in, "loop", &loop))
			vips_image_set_int(out, "loop", loop);
	}
	for (int i = 0; i < made; i++)
		g_object_unref(frames[i]);
	g_free(frames);
	return out;
}

int gh_frames(const void *bytes, size_t size) {
	VipsImage *image = vips_image_new_from_buffer(bytes, size, "", NULL);
	if (!image)
		return -1;
	int n = vips_image_get_n_pages(image);
	g_object_unref(image);
	vips_thread_shutdown();
	return n;
}

// A picture whose profile is useless is shown without it.
VipsImage *gh_load(const void *bytes, size_t size, int all_frames, int width, int height) {
	VipsImage *out = NULL;
	for (int with_profile = 1; with_profile >= 0 && !out; with_profile--) {
		VipsImage *in = vips_image_new_from_buffer(bytes, size, all_frames ? "[n=-1]" : "",
			"access", all_frames ? VIPS_ACCESS_RANDOM : VIPS_ACCESS_SEQUENTIAL, NULL);
		if (!in)
			break;
		gboolean has_profile = vips_image_get_typeof(in, VIPS_META_ICC_NAME) != 0;
		if (!with_profile)
			vips_image_remove(in, VIPS_META_ICC_NAME);
		out = scale(in, width, height);
		g_object_unref(in);
		if (!has_profile)
			break;
	}
	vips_thread_shutdown();
	return out;
}

VipsImage *gh_scale(VipsImage *in, int width, int height) {
	VipsImage *out = scale(in, width, height);
	vips_thread_shutdown();
	return out;
}

VipsImage *gh_first(VipsImage *in) {
	VipsImage *out = frame(in, 0, vips_image_get_page_height(in), 0, 0);
	vips_thread_shutdown();
	return out;
}

VipsImage *gh_upright(VipsImage *in, VipsAngle turn, int mirror) {
	VipsImage *image = NULL, *t = NULL;
	if (vips_rot(in, &image, turn, NULL))
		return NULL;
	if (mirror && replace(&image, vips_flip(image, &t, VIPS_DIRECTION_HORIZONTAL, NULL), &t))
		return NULL;
	image = settle(image);
	vips_thread_shutdown();
	return image;
}

void *gh_rgba(VipsImage *in, size_t *size) {
	VipsImage *image = in, *t = NULL;
	g_object_ref(image);
	if (!vips_image_hasalpha(image) && replace(&image, vips_addalpha(image, &t, NULL), &t))
		return NULL;
	if (image->BandFmt != VIPS_FORMAT_UCHAR && replace(&image, vips_cast_uchar(image, &t, NULL), &t))
		return NULL;
	void *pixels = vips_image_write_to_memory(image, size);
	g_object_unref(image);
	vips_thread_shutdown();
	return pixels;
}

void *gh_webp(VipsImage *in, int quality, int effort, size_t *size) {
	void *out = NULL;
	if (vips_webpsave_buffer(in, &out, size, "Q", quality, "effort", effort, "strip", TRUE, NULL))
		out = NULL;
	vips_thread_shutdown();
	return out;
}

void *gh_avif(VipsImage *in, int quality, int effort, size_t *size) {
	void *out = NULL;
	if (vips_heifsave_buffer(in, &out, size, "Q", quality, "effort", effort, "bitdepth", 8,
		"compression", VIPS_FOREIGN_HEIF_COMPRESSION_AV1, "strip", TRUE, NULL))
		out = NULL;
	vips_thread_shutdown();
	return out;
}
