#include <stddef.h>
#include <string.h>
static inline const char *
weir_nearest(const char *word, const char *const *names, size_t cnt)
{
    for (size_t i = 0; i < cnt; i++) {
        if (strncmp(word, names[i], 3) == 0) {
            return names[i];
        }
    }
    return NULL;
}
