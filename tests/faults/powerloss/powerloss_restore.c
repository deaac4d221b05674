/* powerloss_restore DIR [SEED]: what a loss of power leaves of DIR (powerloss_image.h). */
#include "powerloss_image.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: powerloss_restore DIR [SEED]\n");
        return 2;
    }
    return powerloss_image_restore(argv[1], argc == 3 ? strtoull(argv[2], NULL, 10) : 0) ? 0 : 1;
}
