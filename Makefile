# quoit: one non-recursive Makefile.
#
# `make help` (the default) prints the lines that carry a ## comment. Sources, tests, benchmarks and
# fuzz targets are found by wildcard: a new file needs no line here. Everything built lies under
# build/MODE/; nothing outside build/ is written but compile_commands.json, docs and report.
#
# Reading order: what is found, how it is compiled, the rules, then the targets people type.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules
SHELL := /bin/bash

# In parallel unless the caller said how: by -j, which wins over this, or by a make above this one.
ifeq ($(MAKELEVEL)$(filter -j% --jobs% --jobserver%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

# ---- what the caller may set -----------------------------------------------------------------

MODE ?= release
BUILD ?= build/$(MODE)
PREFIX ?= /usr/local
DESTDIR ?=
# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 60
# Arguments of `quoit run` in experiment-NAME, e.g. RUN_ARGS="--set load.requests=1000".
RUN_ARGS ?=
# What starts an experiment's servers: empty for what its file says, or docker.
SPAWNER ?=
# Test suites that check, asan, tsan and coverage run, and a shell pattern on program names.
SUITES ?= unit contract e2e
TESTS ?= *
# WERROR=1 makes a warning an error, as .ci/run does.
WERROR ?=
# NO_DEPS=1 neither looks for missing packages nor installs them.
NO_DEPS ?=

MODES := release debug asan tsan coverage fuzz
ifeq ($(filter $(MODE),$(MODES)),)
$(error MODE=$(MODE): must be one of $(MODES))
endif
ifneq ($(words $(BUILD)),1)
$(error BUILD must be one word, got "$(BUILD)")
endif

# The sanitizers and the fuzzer are clang's, so that both compilers see the whole tree.
ifeq ($(origin CC),default)
CC := $(if $(filter asan tsan fuzz,$(MODE)),clang,gcc)
endif

# ---- what is found ---------------------------------------------------------------------------

SRC := $(wildcard core/*.c table/*.c backends/*.c backends/*/*.c ring/*.c server/*.c lb/*.c \
	spawnerd/*.c loadgen/*.c experiments/*.c ctl/*.c doctor/*.c cmd/*.c)
# A TEMPLATE.c documents its family's hooks. It is compiled, so that it stays true, but not linked.
TEMPLATE_SRC := $(filter %/TEMPLATE.c,$(SRC))
SRC := $(filter-out %/TEMPLATE.c,$(SRC))
UNIT_SRC := $(wildcard tests/unit/*_test.c tests/unit/*/*_test.c tests/unit/*/*/*_test.c)
CONTRACT_SRC := $(wildcard tests/contract/*_test.c)
BENCH_SRC := $(wildcard tests/bench/*_bench.c)
FUZZ_SRC := $(wildcard tests/fuzz/*_fuzz.c)
# Helpers: each test, benchmark and fuzz target is linked with those that it calls.
SUPPORT_SRC := $(wildcard tests/support/*.c)
DOCKER_BATS := $(wildcard tests/e2e/docker*.bats tests/e2e/swarm*.bats)
BATS := $(filter-out $(DOCKER_BATS),$(wildcard tests/e2e/*.bats))
ALL_SRC := $(SRC) $(TEMPLATE_SRC) $(SUPPORT_SRC) $(UNIT_SRC) $(CONTRACT_SRC) $(BENCH_SRC) $(FUZZ_SRC)

# Objects, not an archive: parts and verbs register themselves in linker sections, and an archive
# drops what nobody names.
OBJ := $(SRC:%.c=$(BUILD)/%.o)
MAIN_OBJ := $(BUILD)/cmd/main.o
# Changes with every commit; a test needs it but is not linked anew for it.
INFO_OBJ := $(filter $(BUILD)/core/build_info.o,$(OBJ))
LIB_OBJ := $(filter-out $(MAIN_OBJ) $(INFO_OBJ),$(OBJ))
# Of this one an archive: a test takes what it names.
SUPPORT := $(if $(SUPPORT_SRC),$(BUILD)/tests/support.a)
UNIT := $(UNIT_SRC:%.c=$(BUILD)/%)
CONTRACT := $(CONTRACT_SRC:%.c=$(BUILD)/%)
BENCH := $(BENCH_SRC:%.c=$(BUILD)/%)
FUZZ := $(FUZZ_SRC:%.c=$(BUILD)/%)
QUOIT := $(BUILD)/quoit

# ---- how it is compiled ----------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla \
	$(if $(WERROR),-Werror)
HARDEN := -fstack-protector-strong -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
MODE_CFLAGS_release := -O2 -g $(HARDEN)
MODE_CFLAGS_debug := -O0 -g3 -fno-omit-frame-pointer
MODE_CFLAGS_asan := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all
MODE_CFLAGS_tsan := -O1 -g -fno-omit-frame-pointer -fsanitize=thread
MODE_CFLAGS_coverage := -O0 -g --coverage
MODE_CFLAGS_fuzz := -O1 -g -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined \
	-fno-sanitize-recover=all
# Assertions stay on: NDEBUG is never defined.
OWN_CPPFLAGS := -I. -I$(BUILD) -D_GNU_SOURCE $(CPPFLAGS)
OWN_CFLAGS := -std=c11 $(WARN) $(MODE_CFLAGS_$(MODE)) -fPIE -pthread $(CFLAGS)
OWN_LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)
OWN_LDLIBS := -lev -lcurl -lcjson -lxxhash -linih -lcrypto -lmariadb -lsqlite3 -llmdb -lm $(LDLIBS)

# llhttp: a system library where there is one (Debian 13, Ubuntu 25.04), else the sources that
# Debian 12's node-llhttp ships, compiled in.
LLHTTP_OBJ :=
ifneq ($(wildcard /usr/include/llhttp.h /usr/local/include/llhttp.h),)
OWN_LDLIBS += -lllhttp
else
OWN_CPPFLAGS += -I/usr/share/include/llhttp
LLHTTP_OBJ := $(patsubst %,$(BUILD)/llhttp/%.o,api http llhttp)
endif

COMPILE = $(CC) $(OWN_CPPFLAGS) $(OWN_CFLAGS)
LINK = $(CC) $(OWN_CFLAGS) $(OWN_LDFLAGS)

# V=1 shows the commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s %s\n' '$(1)' '$(2)')
# Filters standard input into the target, whose time changes only when its content does.
KEEP_IF_SAME = cat >$@.$$$$ && if cmp -s $@.$$$$ $@; then rm -f $@.$$$$; else mv -f $@.$$$$ $@; fi

# ---- what must be installed ------------------------------------------------------------------
# $(BUILD)/packages.mk is an included makefile, hence brought up to date before anything else; when
# tools/install-deps changed it, make starts over and sees what was installed. When nothing is
# missing that costs some file tests and no package manager.

NO_BUILD_GOALS := help clean uninstall deps format compile_commands.json image image-mysql up down \
	logs ps swarm-up swarm-down swarm-logs swarm-ps
GOALS := $(or $(MAKECMDGOALS),$(.DEFAULT_GOAL))
DEPS := build
ifneq ($(filter check check-programs asan tsan coverage bench published,$(GOALS)),)
DEPS += run check
endif
ifneq ($(filter experiment-% experiments report report-check,$(GOALS)),)
DEPS += run
endif
ifneq ($(filter bench-%,$(GOALS)),)
DEPS += check bench
endif
ifneq ($(filter asan tsan fuzz,$(GOALS) $(MODE)),)
DEPS += sanitize
endif
ifneq ($(filter coverage,$(GOALS) $(MODE)),)
DEPS += coverage
endif
ifneq ($(filter lint,$(GOALS)),)
DEPS += check lint
endif
ifeq ($(NO_DEPS),)
ifneq ($(filter-out $(NO_BUILD_GOALS),$(GOALS)),)
include $(BUILD)/packages.mk
endif
endif

$(BUILD)/packages.mk: FORCE
	@mkdir -p $(@D)
	@tools/install-deps $(DEPS)
	@tools/install-deps --list $(DEPS) | sed 's/^/# /' | $(KEEP_IF_SAME)

.PHONY: FORCE
FORCE:

# ---- rules -----------------------------------------------------------------------------------

# Changed flags or another compiler: everything is compiled anew.
$(BUILD)/flags: FORCE
	@mkdir -p $(@D)
	@printf '%s\n' '$(COMPILE)' '$(LINK) $(OWN_LDLIBS)' "$$($(CC) --version | head -n 1)" \
		| $(KEEP_IF_SAME)

# What the program says about itself. Only core/build_info.c includes it.
$(BUILD)/generated/build_info.h: FORCE
	@mkdir -p $(@D)
	@tools/build-info '$(CC)' '$(OWN_CPPFLAGS) $(OWN_CFLAGS)' '$(PREFIX)' | $(KEEP_IF_SAME)

$(BUILD)/llhttp/%.o: /usr/share/llhttp/%.c $(BUILD)/flags
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -w -c $< -o $@

$(BUILD)/%.o: %.c $(BUILD)/flags | $(BUILD)/generated/build_info.h
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(COMPILE) -MMD -MP -c $< -o $@

$(QUOIT): $(OBJ) $(LLHTTP_OBJ)
	$(call say,LINK,$@)
	$(Q)$(LINK) $(filter %.o,$^) -o $@ $(OWN_LDLIBS)

$(SUPPORT): $(SUPPORT_SRC:%.c=$(BUILD)/%.o)
	$(call say,AR,$@)
	@rm -f $@
	$(Q)ar rcs $@ $^

TEST_OBJ := $(LIB_OBJ) $(LLHTTP_OBJ) $(SUPPORT)
LINK_TEST = $(LINK) $(filter %.o,$^) $(INFO_OBJ) $(SUPPORT)

# Another ketama to compare with; tests and benchmarks that name it do without where it is absent.
ORACLE_LDLIBS := $(if $(wildcard /usr/include/libmemcached/memcached.h),-lmemcached)

$(UNIT) $(CONTRACT): $(BUILD)/%: $(BUILD)/%.o $(TEST_OBJ) | $(INFO_OBJ)
	$(call say,LINK,$@)
	$(Q)$(LINK_TEST) -o $@ -lcmocka $(ORACLE_LDLIBS) $(OWN_LDLIBS)

$(BENCH): $(BUILD)/%: $(BUILD)/%.o $(TEST_OBJ) | $(INFO_OBJ)
	$(call say,LINK,$@)
	$(Q)$(LINK_TEST) -o $@ -lcmocka $(ORACLE_LDLIBS) $(OWN_LDLIBS)

$(FUZZ): $(BUILD)/%: $(BUILD)/%.o $(TEST_OBJ) | $(INFO_OBJ)
	$(call say,LINK,$@)
	$(Q)$(LINK_TEST) -fsanitize=fuzzer -o $@ $(OWN_LDLIBS)

# Kept: a test's object is no file to be made anew each time.
.SECONDARY:

-include $(patsubst %.c,$(BUILD)/%.d,$(ALL_SRC))

# ---- targets ---------------------------------------------------------------------------------

##@ Build
.PHONY: help all deps install uninstall clean

help: ## print this text
	@awk -f tools/make-help.awk $(firstword $(MAKEFILE_LIST))

all: $(QUOIT) $(TEMPLATE_SRC:%.c=$(BUILD)/%.o) ## build the program: build/release/quoit

deps: ## install every package that any target needs
	tools/install-deps build run check lint sanitize coverage

install: all ## install program, man pages, completion and data under $(DESTDIR)$(PREFIX), PREFIX=/usr/local
	@tools/install-files install '$(DESTDIR)' '$(PREFIX)' $(QUOIT)

uninstall: ## remove what install put there, and nothing else
	@tools/install-files uninstall '$(DESTDIR)' '$(PREFIX)'

clean: ## remove build/ and compile_commands.json
	rm -rf build compile_commands.json

compile_commands.json: $(ALL_SRC) Makefile | $(BUILD)/generated/build_info.h ## write the compilation database for editors
	@{ echo '['; \
	for file in $(ALL_SRC); do \
		printf '{"directory":"%s","file":"%s","command":"%s -c %s"}' \
			'$(CURDIR)' "$$file" '$(COMPILE)' "$$file"; \
		[ "$$file" = '$(lastword $(ALL_SRC))' ] || echo ,; \
	done; echo; echo ']'; } >$@

##@ Test
.PHONY: check check-programs check-docker asan tsan fuzz bench bench-hash published bench-lb bench-load \
	bench-hist bench-stall bench-heal bench-docker bench-swarm bench-db bench-db-heal \
	bench-mysql coverage

UNIT_RUN := $(if $(filter unit,$(SUITES)),$(UNIT))
CONTRACT_RUN := $(if $(filter contract,$(SUITES)),$(CONTRACT))
E2E_RUN := $(if $(filter e2e,$(SUITES)),$(BATS))

check-programs: $(UNIT_RUN) $(CONTRACT_RUN) $(if $(E2E_RUN),all)

check: check-programs ## build, then run the unit, contract and end-to-end tests
	@QUOIT=$(abspath $(QUOIT)) tools/run-tests --mode $(MODE) --logs $(BUILD)/logs \
		--only '$(TESTS)' $(UNIT_RUN) $(CONTRACT_RUN) $(E2E_RUN)

# Where there is no engine, and none can be installed and started, it says so and is content.
check-docker: all ## the cluster in containers, with a real container engine
	@QUOIT=$(abspath $(QUOIT)) tools/check-docker --logs $(BUILD)/logs --only '$(TESTS)' $(DOCKER_BATS)

# The end-to-end tests measure times and stay out of the slow modes, unless SUITES names them.
SLOW_SUITES := $(if $(filter file,$(origin SUITES)),unit contract,$(SUITES))

asan: ## run the tests with AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory check MODE=asan BUILD=$(BUILD_ROOT)asan SUITES='$(SLOW_SUITES)'

tsan: ## run the tests with ThreadSanitizer
	@$(MAKE) --no-print-directory check MODE=tsan BUILD=$(BUILD_ROOT)tsan SUITES='$(SLOW_SUITES)'

# BUILD=build/release gives build/asan; a caller's own BUILD=build/mine gives build/mine-asan.
BUILD_ROOT := $(if $(filter file,$(origin BUILD)),build/,$(BUILD)-)

ifeq ($(MODE),fuzz)
fuzz: $(FUZZ)
	@tools/run-fuzz --seconds $(FUZZ_SECONDS) --work $(BUILD)/work $(FUZZ)
else
fuzz: ## run each fuzz target for FUZZ_SECONDS=60
	@$(MAKE) --no-print-directory fuzz MODE=fuzz BUILD=$(BUILD_ROOT)fuzz
endif

bench: all $(BENCH) ## run the microbenchmarks
	@set -e; for program in $(BENCH); do echo "== $${program##*/}"; $$program; done

bench-lb: all ## the load balancer beside HAProxy
	@tests/bench/lb_bench.sh $(QUOIT)

bench-load: all ## the load generator beside wrk, h2load and hey
	@tests/bench/load_bench.sh $(QUOIT)

bench-hist: all ## the percentiles of quoit load beside exact ones of the same run
	@tests/bench/hist_bench.sh $(QUOIT)

bench-stall: all ## a server that stops for 500 ms, under a closed and an open loop
	@tests/bench/stall_demo.sh $(QUOIT)

# HASHES="xxh3 splitmix64" restricts the lookups to these.
bench-hash: $(BUILD)/tests/bench/hash_bench ## every hash and placement: ns, bytes, targets
	@$< $(HASHES)

published: $(BUILD)/tests/unit/backends/published_test ## published results on hashing, computed again
	@$< table

bench-docker: all ## servers in containers: create to serving, killed to replaced
	@tests/bench/docker_bench.sh $(QUOIT)

bench-swarm: all ## the same on a Docker Swarm of one machine and of three (network namespaces)
	@tests/bench/swarm_bench.sh $(QUOIT)

bench-heal: all ## kill servers under load and time the healing
	@tests/bench/heal_bench.sh $(QUOIT)

bench-db: all ## the database's writes and reads a second, in memory and synced, beside etcd
	@tests/bench/db_bench.sh $(QUOIT)

bench-db-heal: all ## kill servers that hold 100000 rows a shard, under load, and time the healing
	@tests/bench/db_heal_bench.sh $(QUOIT)

bench-mysql: all $(BUILD)/tests/bench/mysql_bench ## the database on mysql beside a direct client
	@tests/bench/mysql_bench.sh $(QUOIT) $(BUILD)/tests/bench/mysql_bench

ifeq ($(MODE),coverage)
coverage: check
	@mkdir -p $(BUILD)/report
	@gcovr --root . --object-directory $(BUILD) --exclude 'tests/' --exclude '/usr/' \
		--html-details $(BUILD)/report/index.html --print-summary
	@echo "details: $(BUILD)/report/index.html"
else
coverage: ## run the tests and report which lines they reach
	@$(MAKE) --no-print-directory coverage MODE=coverage BUILD=$(BUILD_ROOT)coverage
endif

##@ Containers
.PHONY: image image-mysql up down logs ps swarm-up swarm-down swarm-logs swarm-ps

# Names that docker-compose.yml knows them by.
export QUOIT_IMAGE ?= quoit
export QUOIT_MYSQL_IMAGE ?= quoit-mysql

image: ## build the container image quoit, of which load balancer and servers are made
	docker build --file docker/Dockerfile --tag $(QUOIT_IMAGE) \
		--build-arg COMMIT=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .

image-mysql: image ## build the image quoit-mysql: a server with a MariaDB of its own beside it
	docker build --file docker/Dockerfile.mysql --tag $(QUOIT_MYSQL_IMAGE) \
		--build-arg QUOIT=$(QUOIT_IMAGE) .

# STORE=memory, file, mysql or shared: docs/deploy.md says what each is.
up: ## start the cluster in containers, STORE=memory: load balancer on port 5000
	@tools/compose up

down: ## stop it and remove it; PURGE=1 removes the rows of durable stores too
	@tools/compose down

logs: ## what its containers logged
	@tools/compose logs

ps: ## its containers
	@tools/compose ps

# docs/deploy.md, Past one machine.
swarm-up: ## the same on a Docker Swarm, from a manager of it (or of a new one): QUOIT_STORE=memory, file
	@tools/swarm up

swarm-down: ## stop that and remove it; PURGE=1 removes its state and the rows on this machine too
	@tools/swarm down

swarm-logs: ## what it logged, on every machine
	@tools/swarm logs

swarm-ps: ## where its servers are
	@tools/swarm ps

##@ Check the source
.PHONY: lint format

lint: compile_commands.json ## clang-format, clang-tidy, cppcheck, shellcheck, the layers
	@tools/lint

format: ## format every C file in place
	@tools/install-deps lint
	@tools/lint --fix-format

##@ Measure and report
.PHONY: experiments report report-check docs

# With a `quoit spawner` beside it, when servers are to be containers: all of them by SPAWNER=docker,
# or those of one value of an axis. Needs an engine that answers.
vary_spawner = $(shell grep -lsE '^vary *=.*cluster\.spawner' experiments/$(1).ini experiments/$(1)-*.ini)
run_with = $(if $(or $(filter docker,$(SPAWNER)),$(call vary_spawner,$(1))),QUOIT=$(QUOIT) \
	$(if $(filter file,$(origin QUOIT_IMAGE)),QUOIT_IMAGE=) tools/with-spawner)
RUN_SET := $(if $(SPAWNER),--set cluster.spawner=$(SPAWNER))

# SPAWNER=docker: in containers.
experiment-%: all ## run an experiment, e.g. experiment-A1: start, load, table, chart
	@$(call run_with,$*) $(QUOIT) run $* $(RUN_SET) $(RUN_ARGS)

# Those of the assignment, in one process, which goes on after an invalid one and tells at the end.
experiments: all ## run the assignment's experiments A1 … A4
	@$(call run_with,A) $(QUOIT) run $(sort $(notdir $(basename $(wildcard experiments/A[1-4].ini)))) \
		$(RUN_SET) $(RUN_ARGS)

report: all ## write the charts and tables of README.md and report/ from the committed results
	@$(QUOIT) report

report-check: all ## compare them byte for byte, running nothing
	@$(QUOIT) report --check

docs: all ## write the generated pages of docs/, and man pages and completion into build/docs
	@tools/make-docs $(QUOIT)
	@$(QUOIT) docs --man build/docs/man --bash build/docs/quoit.bash
