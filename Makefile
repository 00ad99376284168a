# make train   installs what is needed, trains on the embedded corpus, prints the error rate
# make test    installs what the tests need, checks the code and runs the suite
PYTHON ?= python3
VENV ?= .venv
RUN := $(VENV)/bin/python
QUICKSTART := runs/quickstart

.PHONY: train test lint clean

train: $(VENV)/installed
	$(RUN) -m launch.prepare --config=configs/quickstart.py
	$(RUN) -m launch.train --config=configs/quickstart.py --workdir=$(QUICKSTART)
	$(RUN) -m launch.evaluate --workdir=$(QUICKSTART) --split=test

test: $(VENV)/installed-dev lint
	$(RUN) -m pytest -n 2 --dist=loadfile --no-loadscope-reorder --durations=15

lint: $(VENV)/installed-dev
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(VENV)/bin/lint-imports
	$(RUN) -m mypy

$(VENV)/installed: requirements.txt constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install --quiet --requirement requirements.txt --constraint constraints.txt
	touch $@

$(VENV)/installed-dev: $(VENV)/installed requirements-dev.txt
	$(RUN) -m pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	touch $@

clean:
	rm -rf $(VENV) runs
