#!/bin/sh
# The `golden` gate of alb-blue-green.yaml: asks each server of the new environment each question, before and after the swap.
#
#     ./golden.sh --questions golden.jsonl
#
# A line of the file is the body of a chat completion. Exit 0: every question got an answer. Put your own judgement where it
# says so; whatever it is, it must exit with something else than 0 when the answers are not good enough.
#
# modelswap sets MODELSWAP_URLS (the servers to ask, past the balancer) and MODELSWAP_ENVIRONMENT (whose they are).
set -eu

[ "${1:-}" = --questions ] && [ -r "${2:-}" ] || { echo "usage: golden.sh --questions FILE" >&2; exit 2; }
[ -n "${MODELSWAP_URLS:-}" ] || { echo "no server to ask in MODELSWAP_URLS" >&2; exit 2; }

asked=0
for url in $MODELSWAP_URLS; do
    while IFS= read -r question; do
        # The key goes by stdin: what stands in a command line, everybody on this host can read.
        answer=$(printf 'header = "authorization: Bearer %s"\n' "${CHAT_API_KEY:-}" |
            curl --silent --show-error --fail --max-time 60 --config - \
                --header 'content-type: application/json' --data "$question" "$url/v1/chat/completions")
        # Your judgement: here, that there is an answer at all.
        case $answer in
            *'"content":""'*) echo "$url: empty answer to $question" >&2; exit 1 ;;
            *'"content":'*) asked=$((asked + 1)) ;;
            *) echo "$url: no answer to $question: $answer" >&2; exit 1 ;;
        esac
    done < "$2"
done
[ "$asked" -gt 0 ] || { echo "nothing was asked: $2 is empty" >&2; exit 1; }
echo "$asked answers from ${MODELSWAP_ENVIRONMENT:-?}"
