/* SPDX-License-Identifier: MPL-2.0
 * mandelbrot.c - the Mandelbrot set in tiles, one task a tile, written as a PNG.
 * Shows: a map whose results are large structs, tiles of very different cost, a progress bar, and options by BFORK_OPTIONS.
 *
 *     ./mandelbrot picture.png */
#include <bfork.h>
#include <math.h>
#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 800, HEIGHT = 600, TILE = 50, ACROSS = WIDTH / TILE, TILES = ACROSS * (HEIGHT / TILE), SUPER = 3, LIMIT = 1000 };

struct tile { int x, y; };
struct pixels { unsigned char rgb[TILE][TILE][3]; };

/* How fast the point leaves, as a real number so that colours have no steps; below 0: it stays. */
static double escape(double cx, double cy)
{
    double x = 0, y = 0, xx = 0, yy = 0;
    int n = 0;
    for (; n < LIMIT && xx + yy < 256; n++) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
    }
    return n == LIMIT ? -1 : n + 1 - log2(log(xx + yy) / 2 / log(2));
}

static void add_colour(double speed, double rgb[3])
{
    static const double stops[][3] = { { 6, 10, 58 }, { 22, 86, 178 }, { 178, 226, 250 }, { 255, 244, 190 }, { 250, 152, 12 },
                                       { 104, 18, 44 } };
    enum { STOPS = sizeof(stops) / sizeof(stops[0]) };
    if (speed < 0)
        return;                                             /* inside: black */
    double at = fmod(0.55 * STOPS * log(1 + speed / 4), STOPS);
    int i = (int)at;
    for (int c = 0; c < 3; c++)
        rgb[c] += stops[i][c] + (at - i) * (stops[(i + 1) % STOPS][c] - stops[i][c]);
}

static int draw(const struct tile *tile, struct pixels *out, bfork_task *task)
{
    const double scale = 3.0 / WIDTH / SUPER;
    (void)task;
    for (int y = 0; y < TILE; y++)
        for (int x = 0; x < TILE; x++) {
            double rgb[3] = { 0, 0, 0 };
            for (int s = 0; s < SUPER * SUPER; s++)         /* several points a pixel: smooth edges */
                add_colour(escape(-2.1 + scale * ((tile->x + x) * SUPER + s % SUPER),
                                  scale * ((tile->y + y - HEIGHT / 2) * SUPER + s / SUPER)), rgb);
            for (int c = 0; c < 3; c++)
                out->rgb[y][x][c] = (unsigned char)(rgb[c] / (SUPER * SUPER));
        }
    return 0;
}

static int write_png(const char *path, const unsigned char *rgb)
{
    png_image image = { .version = PNG_IMAGE_VERSION, .width = WIDTH, .height = HEIGHT, .format = PNG_FORMAT_RGB };
    if (png_image_write_to_file(&image, path, 0, rgb, 0, NULL))
        return 0;
    fprintf(stderr, "mandelbrot: cannot write %s: %s\n", path, image.message);
    return -1;
}

int main(int argc, char **argv)
{
    static struct tile tiles[TILES];
    static unsigned char rgb[HEIGHT][WIDTH][3];

    bfork_init(&argc, &argv);
    if (argc != 2) {
        fprintf(stderr, "usage: mandelbrot FILE.png\n");
        return 2;
    }
    struct pixels *drawn = malloc(TILES * sizeof(*drawn));
    if (!drawn) {
        fprintf(stderr, "mandelbrot: out of memory\n");
        return 1;
    }
    for (int i = 0; i < TILES; i++)
        tiles[i] = (struct tile){ i % ACROSS * TILE, i / ACROSS * TILE };

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    if (bfork_map_with(pool, draw, tiles, drawn, TILES, BFORK_OPTIONS(.progress = bfork_bar)) != 0)
        bfork_die("mandelbrot");
    bfork_pool_free(&pool);

    for (int i = 0; i < TILES; i++)
        for (int y = 0; y < TILE; y++)
            memcpy(rgb[tiles[i].y + y][tiles[i].x], drawn[i].rgb[y], sizeof(drawn[i].rgb[y]));
    free(drawn);
    if (write_png(argv[1], &rgb[0][0][0]) < 0)
        return 1;
    printf("%s: %d x %d in %d tiles\n", argv[1], WIDTH, HEIGHT, TILES);
}
