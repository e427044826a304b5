/* A program that behaves as `quoit server` does towards its spawner, well or badly.
 *
 * A test starts itself as the server: its main() begins with ready_child_main(). How the child
 * behaves is said by its name up to the first dot ("mute.7"):
 *   fails     exits with status 3 before it listens
 *   mute      never says that it listens
 *   deaf      the same, and ignores SIGTERM
 *   closes    closes the ready pipe empty and lives on
 *   garbles   says something that is no address
 *   babbles   says too much, without a line end
 *   halves    says its address in two pieces
 *   brief     listens, says so, exits with status 7
 *   stubborn  listens and ignores SIGTERM
 *   inspects  exits with status 0 when it was started as it should be, else with the number of the
 *             claim in ready_child.c that does not hold
 * With any other name it listens until SIGTERM, then exits with status 0. It ends with the
 * test program, and after a minute whatever happens. */
#ifndef QUOIT_TESTS_SUPPORT_READY_CHILD_H
#define QUOIT_TESTS_SUPPORT_READY_CHILD_H

/* Returns at once unless argv[1] is "server"; then it is that server and never returns. */
void ready_child_main(int argc, char **argv);
/* The path of the running program, for spawner_config.program. Called by the test program itself,
 * before it forks: its children end with the process that called. */
const char *ready_child_program(void);

#endif
