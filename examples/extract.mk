# Extract a set in shards, several at a time, and merge them:
#
#   make -f examples/extract.mk -j 4 SOURCE=photographs/ SHARDS=16 OUTPUT=reference.npz
#
# Shards that are there are kept, and one that failed is made again by the next call. GNU parallel does the same with
#
#   parallel ganeval extract photographs/ -o parts/part-{}-of-16.npz --shard {}/16 ::: {1..16}
#   ganeval merge parts/part-*-of-16.npz -o reference.npz
SHARDS ?= 8
PARTS ?= parts
OUTPUT ?= reference.npz
OPTIONS ?=
GANEVAL ?= ganeval
parts := $(foreach number,$(shell seq $(SHARDS)),$(PARTS)/part-$(number)-of-$(SHARDS).npz)

$(OUTPUT): $(parts)
	$(GANEVAL) merge $^ -o $@

$(PARTS)/part-%-of-$(SHARDS).npz: | $(PARTS)
	$(GANEVAL) extract $(SOURCE) -o $@ --shard $*/$(SHARDS) $(OPTIONS)

$(PARTS):
	mkdir -p $@
