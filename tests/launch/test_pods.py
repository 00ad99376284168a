"""The launchers are what their schedulers take."""

import json
import shlex
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

PODS = Path(__file__).resolve().parents[2] / "launch" / "pods"
JOBSETS = sorted(PODS.glob("*.yaml"))


def closed(*required, **properties):
    """The schema of an object with these fields and no others."""
    return {
        "type": "object",
        "required": list(required),
        "additionalProperties": False,
        "properties": properties,
    }


def list_of(items):
    return {"type": "array", "items": items}


ANY, TEXT, NUMBER, YES_NO = ({"type": t} for t in ("object", "string", "integer", "boolean"))
RULE = closed(
    *("action", "name"),
    name={"type": "string", "pattern": r"^[A-Za-z]\w*$"},
    action={"enum": ["FailJobSet", "RestartJobSet", "RestartJobSetAndIgnoreMaxRestarts"]},
    onJobFailureReasons=list_of(
        {
            "enum": [
                "BackoffLimitExceeded",
                "DeadlineExceeded",
                "FailedIndexes",
                "MaxFailedIndexesExceeded",
                "PodFailurePolicy",
            ]
        }
    ),
    targetReplicatedJobs={"type": "array"},
)
REPLICATED_JOB = closed(
    *("name", "template"),
    name=TEXT,
    groupName=TEXT,
    dependsOn={"type": "array"},
    replicas=NUMBER,
    template=closed(metadata=ANY, spec=ANY),
)
# The fields of jobset.x-k8s.io/v1alpha2; what lies under `template` is a Kubernetes Job.
JOBSET = closed(
    *("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "jobset.x-k8s.io/v1alpha2"},
    kind={"const": "JobSet"},
    metadata={"type": "object", "required": ["name"]},
    spec=closed(
        coordinator=ANY,
        managedBy=TEXT,
        startupPolicy=ANY,
        successPolicy=ANY,
        suspend=YES_NO,
        ttlSecondsAfterFinished=NUMBER,
        network=closed(enableDNSHostnames=YES_NO, publishNotReadyAddresses=YES_NO, subdomain=TEXT),
        failurePolicy=closed(
            maxRestarts=NUMBER,
            restartStrategy={"enum": ["Recreate", "BlockingRecreate", "InPlaceRestart"]},
            rules=list_of(RULE),
        ),
        replicatedJobs=list_of(REPLICATED_JOB),
    ),
)


@pytest.mark.parametrize("path", JOBSETS, ids=lambda path: path.stem)
def test_a_jobset_is_one_by_its_schema_and_kubernetes(path):
    jobset = yaml.safe_load(path.read_text())
    jsonschema.validate(jobset, JOBSET)
    for replicated in jobset["spec"]["replicatedJobs"]:
        job = {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": replicated["name"]},
            **replicated["template"],
        }
        kubernetes_validate.validate(job, "1.31", strict=True)


@pytest.mark.parametrize("path", JOBSETS, ids=lambda path: path.stem)
def test_a_jobset_starts_as_many_hosts_as_it_tells_them(path):
    jobset = yaml.safe_load(path.read_text())
    (workers,) = jobset["spec"]["replicatedJobs"]
    job = workers["template"]["spec"]
    assert job["parallelism"] == job["completions"]
    (container,) = job["template"]["spec"]["containers"]
    told = {variable["name"]: variable["value"] for variable in container.get("env", [])}
    if "JAX_COORDINATOR_ADDRESS" in told:
        name = jobset["metadata"]["name"]
        assert told["JAX_COORDINATOR_ADDRESS"].startswith(f"{name}-{workers['name']}-0-0.{name}:")
        assert told["JAX_NUM_PROCESSES"] == str(job["completions"])
    assert container["command"][:3] == ["python", "-m", "launch.train"]


def scheduler(folder, name, codes):
    """A stand-in for a scheduler's program that notes its arguments and ends with each code."""
    program = folder / name
    (folder / f"{name}.codes").write_text(json.dumps(codes))
    program.write_text(
        "#!/usr/bin/env python3\n"
        "import json, pathlib, sys\n"
        f"noted, codes = pathlib.Path('{program}.noted'), json.load(open('{program}.codes'))\n"
        "lines = noted.read_text().splitlines() if noted.exists() else []\n"
        "with noted.open('a') as file:\n"
        "    print(json.dumps(sys.argv[1:]), file=file)\n"
        "print('READY')\n"
        "sys.exit(codes[len(lines)] if len(lines) < len(codes) else 0)\n"
    )
    program.chmod(0o755)


def noted(folder, name):
    path = folder / f"{name}.noted"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def run_script(script, *arguments, folder):
    environment = {"PATH": f"{folder}:/usr/bin:/bin", "SLURM_JOB_ID": "17"}
    return subprocess.run(
        ["bash", PODS / script, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        check=False,
    ).returncode


# Runs the command that follows its options once for each code, and tells the highest, as srun does.
SRUN = """#!/usr/bin/env bash
while [[ $1 == --* ]]; do shift; done
highest=0
for code in {codes}; do
  CODE=$code "$@" || ended=$?
  highest=$(( ${{ended:-0}} > highest ? ended : highest ))
done
exit "$highest"
"""


@pytest.mark.parametrize(
    ("codes", "ended", "requeued"),
    [
        ("0 0", 0, []),
        ("1 134", 1, []),
        ("134 1", 1, []),
        ("75 75", 75, [["requeue", "17"]]),
        ("137 134", 137, [["requeue", "17"]]),
    ],
)
def test_slurm_puts_a_preempted_run_back_and_not_a_mistake(tmp_path, codes, ended, requeued):
    scheduler(tmp_path, "scontrol", [])
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/usr/bin/env bash\nprintf "%s\\n" "$@" > arguments\nexit "$CODE"\n')
    (tmp_path / "srun").write_text(SRUN.format(codes=codes))
    for program in (python, tmp_path / "srun"):
        program.chmod(0o755)
    assert run_script("slurm.sh", "launch.train", "--config=a b", folder=tmp_path) == ended
    assert (tmp_path / "arguments").read_text().split("\n")[:3] == [
        *("-m", "launch.train", "--config=a b")
    ]
    assert noted(tmp_path, "scontrol") == requeued
    assert not [*tmp_path.glob("*.mistake")]


def test_a_cloud_tpu_slice_starts_again_after_a_preemption(tmp_path):
    scheduler(tmp_path, "gcloud", [0, 75, 0, 0])
    arguments = ("slice", "europe-west4-b", "--", "launch.train", "--workdir=gs://a b")
    assert run_script("cloud_tpu.sh", *arguments, folder=tmp_path) == 0
    runs = [line for line in noted(tmp_path, "gcloud") if "ssh" in line]
    assert len(runs) == 2
    assert "--worker=all" in runs[0]
    words = shlex.split(runs[0][-1].removeprefix("--command="))
    assert words[-3:] == ["-m", "launch.train", "--workdir=gs://a b"]
    assert run_script("cloud_tpu.sh", folder=tmp_path) == 2
