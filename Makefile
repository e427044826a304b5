# quoit: one non-recursive Makefile. `make help` lists the targets.
MODE ?= release
BUILD := build/$(MODE)
CC ?= gcc
.DEFAULT_GOAL := all

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wconversion -Wvla
CPPFLAGS += -I. -D_GNU_SOURCE -I/usr/share/include/llhttp
CFLAGS_release := -O2 -g
CFLAGS_debug := -O0 -g3
CFLAGS += -std=c11 $(WARN) $(CFLAGS_$(MODE)) -pthread
LDLIBS += -lev -lcurl -lcjson -lxxhash -linih -lcrypto -lm

SRC := $(wildcard core/*.c backends/*.c backends/*/*.c server/*.c lb/*.c loadgen/*.c experiments/*.c cmd/*.c)
SRC := $(filter-out %/TEMPLATE.c,$(SRC))
OBJ := $(SRC:%.c=$(BUILD)/%.o)
LLHTTP := $(patsubst %,$(BUILD)/llhttp/%.o,api http llhttp)

all: $(BUILD)/quoit

$(BUILD)/quoit: $(OBJ) $(LLHTTP)
	$(CC) $(CFLAGS) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(BUILD)/llhttp/%.o: /usr/share/llhttp/%.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -O2 -g -w -c $< -o $@
$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
-include $(OBJ:.o=.d)
