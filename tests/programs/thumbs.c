/* SPDX-License-Identifier: MPL-2.0
 * Futures in the order they finish: pictures (PGM, eight bits) made smaller, each by one task; one of them does not exist. */
#include <bfork.h>
#include <stdlib.h>
#include <string.h>

struct image { int width, height; unsigned char *pixels; };

static struct image *read_image(bfork_task *task, const char *path)
{
    struct image *image = bfork_task_alloc(task, sizeof(*image));
    FILE *f = fopen(path, "rb");
    size_t size = 0;

    if (f && image && fscanf(f, "P5 %d %d 255", &image->width, &image->height) == 2 && fgetc(f) == '\n') {
        size = (size_t)image->width * (size_t)image->height;
        image->pixels = bfork_task_alloc(task, size);
    }
    if (!size || !image->pixels || fread(image->pixels, 1, size, f) != size)
        image = NULL;
    if (f)
        fclose(f);
    return image;
}

/* Every pixel of the result is the mean of a square of the original. */
static bfork_bytes shrink(bfork_task *task, const struct image *from, int width)
{
    int step = from->width / width, height = from->height / step;
    unsigned char *pixels = bfork_task_alloc(task, (size_t)width * (size_t)height);

    for (int y = 0; pixels && y < height; y++)
        for (int x = 0; x < width; x++) {
            int sum = 0;
            for (int i = 0; i < step * step; i++)
                sum += from->pixels[(y * step + i / step) * from->width + x * step + i % step];
            pixels[y * width + x] = (unsigned char)(sum / (step * step));
        }
    return bfork_bytes_of(pixels, pixels ? (size_t)width * (size_t)height : 0);
}

static int thumbnail(bfork_task *task)
{
    const char *path;
    int width;

    if (bfork_args(task, &path, &width))
        return -1;
    struct image *image = read_image(task, path);
    if (!image)
        return bfork_raise(task, 2, "cannot read %s", strrchr(path, '/') + 1);
    return bfork_return(task, path, shrink(task, image, width));
}

static void write_image(const char *path, int seed)
{
    FILE *f = fopen(path, "wb");

    if (!f)
        abort();
    fprintf(f, "P5 64 32 255\n");
    for (int i = 0; i < 64 * 32; i++)
        fputc((i * seed + i / 64) % 256, f);
    if (fclose(f))
        abort();
}

static void save(const char *path, bfork_bytes pixels)
{
    unsigned sum = 0;

    for (size_t i = 0; i < pixels.size; i++)
        sum = sum * 31 + ((const unsigned char *)pixels.data)[i];
    printf("%s: %zu pixels, %08x\n", strrchr(path, '/') + 1, pixels.size, sum);
}

int main(int argc, char **argv)
{
    static char paths[4][4096];
    bfork_init(&argc, &argv);
    char *here = realpath(".", NULL);

    for (int i = 0; i < 4; i++) {
        snprintf(paths[i], sizeof(paths[i]), "%s/picture%d.pgm", here, i);
        if (i < 3)
            write_image(paths[i], i + 1);
    }
    free(here);

    bfork_pool *pool = bfork_pool_new(NULL, BFORK_ALL, NULL);
    bfork_stream *stream = bfork_stream_new();
    for (int i = 0; i < 4; i++)
        bfork_stream_add(stream, bfork_submit(pool, thumbnail, paths[i], 16), NULL);

    const char *path;
    bfork_bytes pixels;
    for (bfork_future *f; bfork_stream_next(stream, BFORK_FOREVER, &f) == 0; bfork_future_free(&f))
        if (bfork_result(f, &path, &pixels) == 0)
            save(path, pixels);
        else
            printf("%s\n", bfork_last_error()->message);

    bfork_stream_free(&stream);
    bfork_pool_free(&pool);
}
