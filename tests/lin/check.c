/* history_check FILE...: checks saved histories again. Exit status 1 if one of them is wrong. */
#include "history.h"

int main(int arguments_count, char **arguments)
{
    static const char *const words[] = { "right", "WRONG", "undecided" };
    int status = 0;
    for (int i = 1; i < arguments_count; i++) {
        struct history history;
        struct reason reason;
        FILE *file = fopen(arguments[i], "re");
        if (!file || !history_load(file, &history)) {
            printf("%s: not a history\n", arguments[i]);
            return 2;
        }
        fclose(file);
        const enum verdict verdict = check_history(&history, &reason);
        printf("%s: %s\n", arguments[i], words[verdict]);
        if (verdict == WRONG)
            history_explain(&history, stdout);
        status |= verdict != RIGHT;
        history_free(&history);
    }
    return status;
}
