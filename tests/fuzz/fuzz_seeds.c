/* SPDX-License-Identifier: MPL-2.0
 * fuzz_seeds.c - writes the golden files as inputs of fuzz_wire into the directory it is given.
 */
#include "golden.h"
#include "samples.h"

#include <stdio.h>
#include <string.h>

static int write_seed(const char *directory, const char *name, uint8_t reader)
{
    static uint8_t bytes[SAMPLE_ROOM];
    char path[1024];
    long n = golden_read(name, bytes, sizeof(bytes), NULL, 0);
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", directory, name);
    if (n < 0 || !(f = fopen(path, "we"))) {
        perror(path);
        return 1;
    }
    fputc(reader, f);
    fwrite(bytes, 1, (size_t)n, f);
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    static struct sample samples[SAMPLES_MAX];
    size_t n = samples_make(samples);
    char name[64];
    int failed = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: fuzz_seeds DIRECTORY\n");
        return 2;
    }
    for (size_t k = 0; k < n; k++)
        failed |= write_seed(argv[1], samples[k].name, 0);
    for (int k = 0; k < SAMPLE_DOCUMENTS; k++) {
        snprintf(name, sizeof(name), "document_%s", sample_document_names[k]);
        failed |= write_seed(argv[1], name, (uint8_t)(2 + k));
    }
    return failed;
}
