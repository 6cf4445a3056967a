"""Prints JupyterHub's description of its API with the refusals it leaves out.

The description names few answers but those of success. Here every operation may also
refuse (4XX); whatever else an operation answers, the description has to name.
"""

import json
import sys

import yaml

METHODS = {"get", "put", "post", "patch", "delete", "head", "options"}

with open(sys.argv[1], encoding="utf-8") as file:
    api = yaml.safe_load(file)
for operations in api["paths"].values():
    for method in METHODS & operations.keys():
        responses = operations[method]["responses"]
        # YAML reads them as numbers.
        operations[method]["responses"] = {str(code): value for code, value in responses.items()}
        operations[method]["responses"]["4XX"] = {"description": "refused"}
json.dump(api, sys.stdout, default=str)
