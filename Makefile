# The two commands of the README are `make demo` and `make test`; each sets up .venv by itself.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check reader bench harden docs clean

demo: .venv/installed
	$(BIN)/tenfold train cnn
	$(BIN)/tenfold read examples/

# The line reader that comes with the package, made anew; it goes on where it was stopped.
# READER_DATA holds mnist/, handwriting-strokes/ and real-train/. Fonts that are neither installed nor to be
# had from npm are left out.
READER_DATA ?= $(or $(TENFOLD_DATA_DIR),../shared/data)
STRIPS := build/reader/strips
READER_FONTS := build/reader/fonts
reader: .venv/installed
	scripts/reader_fonts $(READER_FONTS)
	$(BIN)/python scripts/reader_strips.py $(READER_DATA) $(STRIPS) --fonts $(READER_FONTS) --shards 1 --split held
	$(BIN)/python scripts/reader_strips.py $(READER_DATA) $(STRIPS) --fonts $(READER_FONTS) --shards 160 & \
	  $(BIN)/python scripts/train_reader.py $(STRIPS) build/reader --steps 30000 && wait
	$(BIN)/python scripts/settle_reader.py build/reader/weights.safetensors $(STRIPS) $(READER_DATA) src/tenfold/reader/model

# How fast and how good, beside the peers: the quick set, for an idle machine with MNIST.
# The full figures of the README: each program of benchmarks/ without --quick, and with --readme.
bench: .venv/installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	set -e; for name in time_to_99 fast_profile accuracy epoch_speed augmentation_speed inference growth ladder; do \
	  $(BIN)/python benchmarks/$$name.py --quick --out build/bench; done

# Seeded attacks by kills, faults, damaged files and hostile requests; the table of docs/hardening.md.
harden: .venv/installed
	$(BIN)/python -m hardening --readme

# The documentation site, into build/site; the notebooks are executed, and pictures that are out of date drawn again.
docs: .venv/installed
	$(BIN)/python scripts/draw_docs.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

test check: .venv/installed
	scripts/check

# torch first and by itself: pip then never picks another build of it for a package that needs it.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[all,dev]'
	touch $@

clean:
	rm -rf .venv build dist
