/* quoit VERB: hands over to the verb asked for; they registered themselves. */
#include "cmd/verbs.h"
#include "core/build_info.h"
#include "core/cli.h"

int main(int argc, char **argv)
{
    return cli_main(verbs_all(), build_info.version, argc, argv);
}
