#ifndef GATEHOUSE_VIPS_HELPER_H
#define GATEHOUSE_VIPS_HELPER_H

#include <stddef.h>
#include <vips/vips.h>

// Every function returns NULL or -1 on an error, whose text gh_error takes. Images are in memory, 8-bit sRGB with
// or without alpha, free of metadata; the caller unrefs them. Several frames stand one below the other.

void gh_start(void);
int gh_warnings(char *into, int size);
int gh_error(char *into, int size);

int gh_frames(const void *bytes, size_t size);
VipsImage *gh_load(const void *bytes, size_t size, int all_frames, int width, int height);
VipsImage *gh_scale(VipsImage *in, int width, int height);
VipsImage *gh_first(VipsImage *in);
VipsImage *gh_upright(VipsImage *in, VipsAngle turn, int mirror);
void *gh_rgba(VipsImage *in, size_t *size);
void *gh_webp(VipsImage *in, int quality, int effort, size_t *size);
void *gh_avif(VipsImage *in, int quality, int effort, size_t *size);

#endif
