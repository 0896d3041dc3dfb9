"""Uploads with Python, one session for all: python3 upload.py requests|urllib3|http.client <job.json

The job is {"url": ..., "attempts": [{"file": path, "key": API key}, ...]}; the answers go to stdout as
[{"status": ..., "body": text}, ...], or {"failure": text} where the client gave no answer.
"""

import http.client
import json
import os
import sys
from urllib.parse import quote, urlsplit


def headers(attempt):
    return {"Authorization": "Bearer " + attempt["key"]} if attempt["key"] else {}


def with_requests(url):
    import requests

    session = requests.Session()
    session.trust_env = False

    def upload(attempt):
        with open(attempt["file"], "rb") as f:
            r = session.post(url, headers=headers(attempt), files={"file": f})
        return r.status_code, r.text

    return upload


def with_urllib3(url):
    import urllib3

    pool = urllib3.PoolManager(retries=False)

    def upload(attempt):
        with open(attempt["file"], "rb") as f:
            fields = {"file": (os.path.basename(attempt["file"]), f.read())}
        r = pool.request("POST", url, headers=headers(attempt), fields=fields)
        return r.status, r.data.decode()

    return upload


def with_http_client(url):
    """Streams the file, and names it as RFC 2231 says, which some libraries do."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.netloc)
    boundary = "a-boundary-of-its-own"

    def upload(attempt):
        name = quote(os.path.basename(attempt["file"]), safe="")
        head = (
            f"--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; filename*=UTF-8''{name}\r\n"
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        size = os.path.getsize(attempt["file"])

        def body():
            yield head
            with open(attempt["file"], "rb") as f:
                while chunk := f.read(1 << 16):
                    yield chunk
            yield tail

        more = {
            "Content-Type": "multipart/form-data; boundary=" + boundary,
            "Content-Length": str(len(head) + size + len(tail)),
        }
        def send():
            connection.request("POST", where.path, body(), headers(attempt) | more)
            r = connection.getresponse()
            return r.status, r.read().decode()

        used = connection.sock is not None
        try:
            return send()
        except http.client.RemoteDisconnected:
            # nginx ends a connection after an early answer without announcing it. Other libraries look before they
            # use a connection again; with this one that is the caller's work.
            connection.close()
            if not used:
                raise
            return send()

    return upload


def main():
    job = json.load(sys.stdin)
    upload = {"requests": with_requests, "urllib3": with_urllib3, "http.client": with_http_client}[sys.argv[1]](job["url"])
    answers = []
    for attempt in job["attempts"]:
        try:
            status, body = upload(attempt)
            answers.append({"status": status, "body": body})
        except Exception as e:  # whatever the library throws is what its user would see
            answers.append({"failure": repr(e)})
    json.dump(answers, sys.stdout)


main()
