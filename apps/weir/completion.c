/* SPDX-License-Identifier: Apache-2.0 */
/* completion.c: `weir completion`: verbs and flags for the shell, from the verbs' own tables. */
#include <stdio.h>
#include <string.h>

#include "apps/weir/verbs.h"
#include "base/base.h"
#include "base/err.h"

/* The words that may stand first: "config" once, though two verbs begin with it. */
static void
print_first_words(void)
{
    for (size_t i = 0; i < weir_verbs_cnt; i++) {
        const char *name = weir_verbs[i]->name;
        size_t chars = strcspn(name, " ");
        const char *last = i > 0 ? weir_verbs[i - 1]->name : "";
        bool again = strncmp(last, name, chars) == 0 && (last[chars] == ' ' || last[chars] == '\0');
        if (!again) {
            (void)printf("%s%.*s", i > 0 ? " " : "", (int)chars, name);
        }
    }
}

static void
print_flags(const struct weir_verb *verb)
{
    (void)printf("        \"%s \"*) words=\"", verb->name);
    for (size_t i = 0; i < verb->flag_cnt; i++) {
        (void)printf("--%s ", verb->flags[i].name);
    }
    (void)printf("--help\" ;;\n");
}

static void
print_second_words(void)
{
    size_t before = 0; /* characters of the first word whose line is open */
    for (size_t i = 0; i < weir_verbs_cnt; i++) {
        const char *name = weir_verbs[i]->name;
        const char *space = strchr(name, ' ');
        size_t chars = space != NULL ? (size_t)(space - name) : 0;
        bool same =
            before > 0 && chars == before && strncmp(weir_verbs[i - 1]->name, name, chars) == 0;
        if (before > 0 && !same) {
            (void)printf("\" ;;\n");
        }
        if (chars > 0) {
            (void)printf(same ? " %.*s%s" : "        %.*s) words=\"%s", same ? 0 : (int)chars, name,
                space + 1);
        }
        before = chars;
    }
    (void)printf("%s", before > 0 ? "\" ;;\n" : "");
}

static void
print_script(void)
{
    (void)printf("# weir: completion of verbs, flags and files\n"
                 "_weir() {\n"
                 "    local word=${COMP_WORDS[COMP_CWORD]} words='' line\n"
                 "    line=\"${COMP_WORDS[*]:1:COMP_CWORD}\"\n"
                 "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        words=\"");
    print_first_words();
    (void)printf(
        "\"\n    elif [ \"$COMP_CWORD\" -eq 2 ]; then\n        case \"${COMP_WORDS[1]}\" in\n");
    print_second_words();
    (void)printf("        esac\n    fi\n    case \"$word\" in -*)\n        case \"$line\" in\n");
    for (size_t i = weir_verbs_cnt; i-- > 0;) { /* `savepoint show` before `savepoint` */
        print_flags(weir_verbs[i]);
    }
    (void)printf("        esac ;;\n    esac\n"
                 "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                 "}\n"
                 "complete -o default -F _weir weir\n");
}

static int
completion_run(const struct weir_args *args)
{
    if (strcmp(args->arg[0], "bash") != 0) {
        return weir_cli_usage(args, "there is completion for bash, not for '%s'", args->arg[0]);
    }
    print_script();
    return WEIR_EXIT_OK;
}

const struct weir_verb weir_verb_completion = {
    .name = "completion",
    .args = "bash",
    .text = "print a completion script for the shell",
    .examples = "source <(weir completion bash)\n",
    .arg_cnt_min = 1,
    .arg_cnt_max = 1,
    .run = completion_run,
};
