"""A client of Tidemark in Python: lists an organization's connections, starts a sync of the first, and follows it.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python -m grpc_tools.protoc -I ../../../proto --python_out=generated --grpc_python_out=generated \
        $(cd ../../../proto && find tidemark -name '*.proto')
    .venv/bin/python example.py --connections 127.0.0.1:7401 --syncs 127.0.0.1:7402 --organization org_…

The token is read from TIDEMARK_TOKEN. With TLS, use `grpc.secure_channel`.
"""

import argparse
import os
import pathlib
import sys
import time

import grpc

sys.path.insert(0, str(pathlib.Path(__file__).parent / "generated"))

from tidemark.connections.v1 import connections_pb2, connections_pb2_grpc  # noqa: E402
from tidemark.syncs.v1 import syncs_pb2, syncs_pb2_grpc  # noqa: E402

# A call without a deadline waits for ever where nobody answers.
DEADLINE_S = 10
# These may pass by themselves; everything else is an answer.
PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.ABORTED}


def call(method, request, metadata, attempts=4):
    """Calls, and again where that is safe and can help. Only for calls that change nothing by being repeated."""
    for attempt in range(1, attempts + 1):
        try:
            return method(request, timeout=DEADLINE_S, metadata=metadata)
        except grpc.RpcError as error:
            if attempt == attempts or error.code() not in PASSING:
                raise
            time.sleep(0.1 * 3 ** (attempt - 1))


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--connections", required=True, help="host:port of the credential service")
    arguments.add_argument("--syncs", required=True, help="host:port of a worker")
    arguments.add_argument("--organization", required=True, help="org_…")
    given = arguments.parse_args()
    metadata = [("authorization", f"Bearer {os.environ['TIDEMARK_TOKEN']}")]

    with grpc.insecure_channel(given.connections) as channel:
        service = connections_pb2_grpc.ConnectionsServiceStub(channel)
        request = connections_pb2.ListConnectionsRequest(organization_id=given.organization)
        connections = call(service.ListConnections, request, metadata).connections
    for connection in connections:
        state = connections_pb2.ConnectionState.Name(connection.state)
        print(f"{connection.id} {state} {connection.workspace}")
    if not connections:
        sys.exit("this organization has no connection")

    with grpc.insecure_channel(given.syncs) as channel:
        service = syncs_pb2_grpc.SyncsServiceStub(channel)
        request = syncs_pb2.StartSyncRequest(connection_id=connections[0].id)
        # Safe to repeat: while a run is open, starting gives that run.
        run = call(service.StartSync, request, metadata).run
        # A stream lasts as long as the run; its deadline is the caller's patience.
        steps = service.WatchSync(syncs_pb2.WatchSyncRequest(run_id=run.id), timeout=300, metadata=metadata)
        for step in steps:
            run = step.run
            done = sum(stream.done for stream in run.streams)
            print(f"{run.id} {syncs_pb2.RunState.Name(run.state)} {done} steps")
            if run.HasField("finished_at"):
                break
    if run.state != syncs_pb2.RUN_STATE_SUCCEEDED:
        sys.exit(f"the sync did not succeed: {run.reason}")


if __name__ == "__main__":
    try:
        main()
    except grpc.RpcError as error:
        # The message is written for a person; error.trailing_metadata() holds the details for programs.
        sys.exit(f"{error.code().name}: {error.details()}")
