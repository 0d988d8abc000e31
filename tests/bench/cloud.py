"""A cloud to measure against: moto behind a counter that can add latency. Prints its port, ends when its input does."""

import json
import sys
import threading
import time
import urllib.parse
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from moto.server import ThreadedMotoServer

latency_s = float(sys.argv[1]) / 1000
moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
moto.start()
moto_port = moto.get_host_and_port()[1]
calls, lock = [], threading.Lock()


def operation(method, path, body):
    if "/2013-04-01/" in path:
        return f"{method} {path.split('?')[0].split('/2013-04-01/')[1].split('/')[-1]}"
    return urllib.parse.parse_qs(body.decode()).get("Action", ["?"])[0]


class Counter(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def answer(self):
        began = time.time()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/calls"):
            with lock:
                text = json.dumps(calls).encode()
                calls.clear()
            return self.say(200, {"Content-Type": "application/json"}, text)
        time.sleep(latency_s)
        onward = HTTPConnection("127.0.0.1", moto_port)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "host", "accept-encoding")}
        onward.request(self.command, self.path, body, {**headers, "Host": f"127.0.0.1:{moto_port}"})
        answer = onward.getresponse()
        text = answer.read()
        self.say(answer.status, {"Content-Type": answer.getheader("Content-Type") or "text/xml"}, text)
        with lock:
            calls.append({"at": began, "took": time.time() - began, "op": operation(self.command, self.path, body)})

    def say(self, status, headers, text):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.wfile.flush()

    do_GET = do_POST = do_PUT = answer

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Counter)
server.daemon_threads = True
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_address[1], flush=True)
sys.stdin.read()
server.shutdown()
moto.stop()
