"""What the last line of `modelswap demo --yes --output json` must say."""

import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
end = lines[-1]
wrong = [
    what
    for what, holds in {
        "the last line is the demo's own": end.get("type") == "demo_finished",
        "requests were sent": end.get("sent", 0) > 0,
        "none was lost": end.get("lost") == 0,
        "streams were begun": end.get("streams", {}).get("begun", 0) > 0,
        "none was cut": end.get("streams", {}).get("cut") == 0,
        "it was rolled back": end.get("outcome") == "rolled_back",
        "both models answered": len(end.get("by_model", {})) == 2,
        "every answer is counted": sum(end.get("by_model", {}).values()) == end.get("answered"),
    }.items()
    if not holds
]
print(json.dumps(end))
if wrong:
    sys.exit("the demo did not hold: not so: " + "; ".join(wrong))
