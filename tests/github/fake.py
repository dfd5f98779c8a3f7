#!/usr/bin/env python3
"""A GitHub with one repository, for tests: pull requests are refs of a bare git repository.

usage: fake.py REPOSITORY.git [EXAMPLES.json]

Prints its port, then serves until its stdin closes. It enforces what GitHub does but no schema says: lines of a review
lie in one hunk of the diff, ranges have a start before their end, texts have an end, no review beside a draft of the
same account, no unknown field; numbers of comments do not fit 32 bits. EXAMPLES.json holds answers as GitHub describes
them; ours change only what is known here.

Tests steer it below /fake/: `plan` (faults to answer with), `comment`, `state`, `apply` (take all suggestions).
"""

import base64
import copy
import hashlib
import http.server
import json
import re
import subprocess
import sys
import threading
import time
import urllib.parse

GIT_DIR = sys.argv[1]
EXAMPLES = json.load(open(sys.argv[2])) if len(sys.argv) > 2 else {}
MAX_TEXT = 65536
ACCOUNTS = {
    "good": {"id": 41898282, "login": "github-actions[bot]", "type": "Bot"},
    "read-only": {"id": 41898282, "login": "github-actions[bot]", "type": "Bot"},
    "app-token": {"id": 99, "login": "lastmile-app[bot]", "type": "Bot"},
    "person": {"id": 7, "login": "octocat", "type": "User"},
}

lock = threading.RLock()
state = {"reviews": [], "comments": [], "requests": [], "resolved": []}
plan = []
settings = {"repository": "o/r", "limits": True, "numbers": {}, "artifacts": []}


class Refused(Exception):
    """An answer other than 200."""

    def __init__(self, status, message, errors=None, headers=None):
        super().__init__(message)
        self.status, self.headers = status, headers or {}
        self.body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status)}
        if errors:
            self.body["errors"] = errors


def git(*arguments):
    run = subprocess.run(["git", "--git-dir", GIT_DIR, *arguments], capture_output=True)
    return run.stdout if run.returncode == 0 else None


def invalid(*errors):
    return Refused(422, "Unprocessable Entity", list(errors))


def like(name, /, **known):
    """The example of an answer with what is known put in."""
    return merged(copy.deepcopy(EXAMPLES.get(name, {})), known)


def merged(answer, known):
    for key, value in known.items():
        is_nested = isinstance(value, dict) and isinstance(answer.get(key), dict)
        answer[key] = merged(answer[key], value) if is_nested else value
    return answer


# Pull requests


def sha_of(name):
    found = git("rev-parse", "--verify", "--quiet", name + "^{commit}")
    return found and found.decode().strip()


def branch(name, sha, repository):
    repo = {"id": 1 if repository == settings["repository"] else 2, "full_name": repository, "name": "r"}
    return {"label": "o:" + name, "ref": name, "sha": sha, "repo": repo}


def pull(number):
    head = sha_of(f"refs/pull/{number}/head")
    if head is None:
        raise Refused(404, "Not Found")
    known = settings["numbers"].get(str(number), {})
    files = changed(number) if number else []
    return like(
        "pull",
        number=number,
        requested_teams=[],  # those of the example lack what the description asks for
        state=known.get("state", "open"),
        base=branch("main", sha_of("refs/heads/main"), settings["repository"]),
        head=branch(known.get("branch", "topic"), head, known.get("from", settings["repository"])),
        changed_files=known.get("changed_files", len(files)),
    )


def common(number):
    base = git("merge-base", "refs/heads/main", f"refs/pull/{number}/head")
    return base.decode().strip()


def changed(number):
    """The changed files with their patches, as GitHub lists them."""
    before, after = common(number), sha_of(f"refs/pull/{number}/head")
    key = (before, after, bool(settings.get("no_patches")))
    if key not in listed:
        listed[key] = compared(*key)
    return listed[key]


listed = {}


def compared(before, after, has_no_patches):
    listing = git("diff", "--raw", "-z", "--no-abbrev", "-M", before, after).split(b"\0")
    sections = re.split(rb"^diff --git ", git("diff", "--no-color", "-M", before, after), flags=re.M)[1:]
    names = {"A": "added", "M": "modified", "D": "removed", "R": "renamed", "T": "changed"}
    files = []
    at = 0
    while at + 1 < len(listing):
        _, _, old, new, status = listing[at].decode().split()
        n_paths = 2 if status[0] in "RC" else 1
        paths = [path.decode("utf-8", "replace") for path in listing[at + 1 : at + 1 + n_paths]]
        at += 1 + n_paths
        file = {"filename": paths[-1], "status": names[status[0]], "sha": old if status == "D" else new}
        file |= {"additions": 0, "deletions": 0, "changes": 0}
        if n_paths == 2:
            file["previous_filename"] = paths[0]
        section = sections[len(files)]
        start = section.find(b"\n@@ ")
        if start >= 0 and not has_no_patches:
            file["patch"] = section[start + 1 :].decode("utf-8", "replace").rstrip("\n")
        files.append(file)
    return files


def shown_file(file):
    answer = like("file", **file)
    for key in ("patch", "previous_filename"):
        if key not in file:
            answer.pop(key, None)
    return answer


def hunks(patch):
    found = []
    for match in re.finditer(r"^@@ -\d+(?:,\d+)? \+(\d+)(?:,(\d+))? @@", patch or "", re.M):
        first, n_lines = int(match[1]), int(match[2] or 1)
        found.append(range(first, first + n_lines))
    return found


# Reviews


def check_comment(comment, files):
    unknown = set(comment) - {"path", "body", "line", "side", "start_line", "start_side"}
    if unknown:
        raise invalid(f"{sorted(unknown)} are no fields of a comment")
    for key in ("path", "body", "line"):
        if key not in comment:
            raise invalid(f"{key} is missing")
    if not comment["body"] or len(comment["body"]) > MAX_TEXT:
        raise invalid("Body is too long (maximum is 65536 characters)")
    if any(comment.get(key, "RIGHT") not in ("RIGHT", "LEFT") for key in ("side", "start_side")):
        raise invalid("side is none")
    if comment["path"] in settings.get("refused_paths", []):
        raise invalid("Line could not be resolved")
    file = files.get(comment["path"])
    if file is None or "patch" not in file:
        raise invalid("Path could not be resolved")
    line, start = comment["line"], comment.get("start_line", comment["line"])
    if "start_line" in comment and start >= line:
        raise invalid("start line must precede the end line")
    if comment.get("side", "RIGHT") == "RIGHT":
        if not any(start in hunk and line in hunk for hunk in hunks(file["patch"])):
            raise invalid("Line could not be resolved")


def add_review(number, user, request):
    unknown = set(request) - {"commit_id", "body", "event", "comments"}
    if unknown:
        raise invalid(f"{sorted(unknown)} are no fields of a review")
    event = request.get("event")
    if event not in (None, "COMMENT", "APPROVE", "REQUEST_CHANGES"):
        raise invalid("event is none")
    if event in ("COMMENT", "REQUEST_CHANGES") and not request.get("body"):
        raise invalid("Body can't be blank")
    if len(request.get("body") or "") > MAX_TEXT:
        raise invalid("Body is too long (maximum is 65536 characters)")
    head = sha_of(f"refs/pull/{number}/head")
    commit = request.get("commit_id", head)
    if git("merge-base", "--is-ancestor", commit, head) is None:
        raise invalid("commit_id is not part of the pull request")
    files = {file["filename"]: file for file in changed(number)}
    for comment in request.get("comments", []):
        check_comment(comment, files)
    mine = [r for r in state["reviews"] if r["user"]["id"] == user["id"] and r["number"] == number]
    if any(r["state"] == "PENDING" for r in mine):
        raise invalid("User can only have one pending review per pull request")
    review = {
        "id": 80 + len(state["reviews"]),
        "number": number,
        "user": user,
        "body": request.get("body", ""),
        "state": {None: "PENDING", "COMMENT": "COMMENTED"}.get(event, event),
        "commit_id": commit,
        "n_comments": len(request.get("comments", [])),
    }
    state["reviews"].append(review)
    if event is not None:
        for comment in request.get("comments", []):
            add_comment(number, user, dict(comment, commit=commit, review=review["id"]))
    return shown_review(review)


def shown_review(review):
    known = {key: review[key] for key in ("id", "body", "state", "commit_id")}
    if settings.get("is_wrong"):
        known["id"] = "eighty"
    return like("review", user=shown_user(review["user"]), **known)


def shown_user(user):
    return like("user", **user)


def add_comment(number, user, comment):
    comment = dict(comment, id=3_000_000_000 + len(state["comments"]), number=number, user=user)
    state["comments"].append(comment)
    return comment


def line_now(comment):
    """The line of a comment in the file as it is now; nothing when that line has changed since."""
    head = sha_of(f"refs/pull/{comment['number']}/head")
    start, line = comment.get("start_line", comment["line"]), comment["line"]
    diff = git("diff", "-U0", comment["commit"], head, "--", comment["path"]) or b""
    if head != comment["commit"] and git("cat-file", "-e", f"{head}:{comment['path']}") is None:
        return None
    shift = 0
    for match in re.finditer(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", diff, re.M):
        old, n_old, n_new = int(match[1]), int(match[2] or 1), int(match[4] or 1)
        if n_old == 0:
            shift += n_new if old < start else 0
            if start <= old < line:
                return None
        elif old + n_old <= start:
            shift += n_new - n_old
        elif old <= line:
            return None
    return line + shift


def shown_comment(comment):
    line = line_now(comment)
    known = {
        "id": comment["id"],
        "path": comment["path"],
        "body": comment["body"],
        "side": comment.get("side", "RIGHT"),
        "original_line": comment["line"],
        "original_commit_id": comment["commit"],
        "commit_id": comment["commit"],
        "pull_request_review_id": comment.get("review"),
        "user": shown_user(comment["user"]),
    }
    answer = like("comment", **known)
    for key in ("in_reply_to_id", "line", "start_line", "original_start_line", "start_side", "position"):
        answer.pop(key, None)
    if line is not None:
        answer["line"] = line
        answer["start_line"] = None
    if "in_reply_to" in comment:
        answer["in_reply_to_id"] = comment["in_reply_to"]
    return answer


# Taking suggestions


def suggestion(body):
    """What a comment suggests; nothing when it suggests nothing."""
    lines = body.split("\n")
    for start, line in enumerate(lines):
        fence = re.fullmatch(r"(`{3,})suggestion\s*", line)
        if fence:
            for end in range(start + 1, len(lines)):
                if re.fullmatch("`{%d,}" % len(fence[1]), lines[end].strip()):
                    return "".join(text + "\n" for text in lines[start + 1 : end])
    return None


def take_all(number):
    """The files after all suggestions were taken, as GitHub does: whole lines, from the last to the first."""
    head = sha_of(f"refs/pull/{number}/head")
    taken = {}
    comments = [c for c in state["comments"] if c["number"] == number and suggestion(c["body"]) is not None]
    comments = [(line_now(c), c) for c in comments]
    for line, comment in sorted((c for c in comments if c[0] is not None), key=lambda c: -c[0]):
        path = comment["path"]
        if path not in taken:
            text = git("cat-file", "blob", f"{head}:{path}").decode()
            taken[path] = text.splitlines(keepends=True) if "\r" not in text else re.findall(r"[^\n]*\n|[^\n]+", text)
        n_lines = comment["line"] - comment.get("start_line", comment["line"])
        taken[path][line - n_lines - 1 : line] = [suggestion(comment["body"])]
    return {path: "".join(lines) for path, lines in taken.items()}


# Apps


def der(data, at=0):
    """The tag and the value at a place of a DER text, and where the next one starts."""
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        n_bytes = size & 0x7F
        size, at = int.from_bytes(data[at : at + n_bytes], "big"), at + n_bytes
    return tag, data[at : at + size], at + size


def check_signature(token, pem):
    """That a JSON Web Token was signed with an RSA key (PKCS #1)."""
    text, signature = token.rsplit(".", 1)
    body = base64.b64decode("".join(open(pem).read().strip().splitlines()[1:-1]))
    _, numbers, _ = der(body)
    _, _, at = der(numbers)
    _, modulus, at = der(numbers, at)
    _, exponent, _ = der(numbers, at)
    modulus, exponent = (int.from_bytes(number, "big") for number in (modulus, exponent))
    signed = int.from_bytes(base64.urlsafe_b64decode(signature + "=="), "big")
    padded = pow(signed, exponent, modulus).to_bytes((modulus.bit_length() + 7) // 8, "big")
    claims = json.loads(base64.urlsafe_b64decode(text.split(".")[1] + "=="))
    now = time.time()
    return (
        padded.endswith(hashlib.sha256(text.encode()).digest())
        and claims["iss"] == "12345"
        and claims["iat"] <= now < claims["exp"] <= claims["iat"] + 600
    )


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.handle_any()

    do_POST = do_DELETE = do_PATCH = do_PUT = do_GET

    def handle_any(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if path.startswith("/fake/"):
            with lock:
                return self.send(200, self.steer(path[6:], json.loads(body or b"null")))
        for prefix in ("/api/v3", "/api"):
            path = path.removeprefix(prefix)
        with lock:
            record = {"method": self.command, "path": path, "query": query, "time": time.time()}
            record["has_token"] = bool(self.headers.get("authorization"))
            state["requests"].append(record)
            fault = next((f for f in plan if re.search(f["match"], f"{self.command} {path}") and f["times"] > 0), None)
            skipped = fault is not None and fault.get("skip", 0) > 0
            if skipped:
                fault["skip"] -= 1
                fault = None
            if fault is not None:
                fault["times"] -= 1
            if fault is not None and "push" in fault:
                subprocess.run(["git", "--git-dir", GIT_DIR, "update-ref", *fault["push"]], check=True)
                fault = None
        if fault is not None and not fault.get("after"):
            return self.fail(fault)
        try:
            with lock:
                request = json.loads(body) if body else None
                status, answer = self.answer(path, query, request)
        except Refused as refused:
            return self.send(refused.status, None if refused.status == 302 else refused.body, refused.headers)
        if fault is not None:
            return self.fail(fault)
        return self.send(status, answer)

    def fail(self, fault):
        if "hang" in fault:
            time.sleep(fault["hang"])
            self.close_connection = True
            return None
        message = {"message": fault.get("message", "no"), "documentation_url": "https://docs.github.com/rest"}
        return self.send(fault["status"], message, fault.get("headers", {}))

    def send(self, status, answer, headers=None):
        data = b"" if answer is None else answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        if data:
            self.send_header("content-type", "application/json; charset=utf-8")
        self.send_header("content-length", str(len(data)))
        limits = {"x-ratelimit-remaining": 4000, "x-ratelimit-reset": int(time.time()) + 3600}
        for name, value in ((limits if settings["limits"] else {}) | (headers or {})).items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(data)

    def steer(self, what, request):
        if what == "plan":
            plan[:] = [dict({"times": 1}, **fault) for fault in request]
        elif what == "settings":
            settings.update(request)
        elif what == "comment":
            user = ACCOUNTS[request.pop("as")]
            head = sha_of(f"refs/pull/{request['number']}/head")
            return add_comment(request["number"], user, dict({"commit": head}, **request))["id"]
        elif what == "apply":
            return take_all(request)
        elif what == "state":
            return state
        return {}

    def account(self):
        scheme, _, token = (self.headers.get("authorization") or "").partition(" ")
        if token.count(".") == 2 and check_signature(token, settings["app_key"]):
            return "app", None
        if token not in ACCOUNTS:
            raise Refused(401, "Bad credentials")
        return token, ACCOUNTS[token]

    def answer(self, path, query, request):
        if path == "/graphql":
            return 200, self.graphql(request)
        if match := re.fullmatch(r"/elsewhere/(\d+)", path):
            return 200, base64.b64decode(settings["artifacts"][int(match[1])]["bytes"])
        token, user = self.account()
        method = self.command
        repository = "/repos/" + settings["repository"]
        if token == "app":
            return self.answer_app(method, path, request)
        if path == "/user":
            if user["type"] == "Bot":
                raise Refused(403, "Resource not accessible by integration")
            return 200, like("public-user", **user)
        if not path.startswith(repository + "/"):
            raise Refused(404, "Not Found")
        path = path[len(repository) :]
        if method != "GET" and token == "read-only":
            raise Refused(403, "Resource not accessible by integration")
        if match := re.fullmatch(r"/git/blobs/([0-9a-f]{40})", path):
            data = git("cat-file", "blob", match[1])
            if data is None:
                raise Refused(404, "Not Found")
            content = base64.encodebytes(data).decode()
            return 200, like("blob", sha=match[1], size=len(data), content=content, encoding="base64")
        if (match := re.fullmatch(r"/git/trees/([0-9a-f]{40})", path)) and query.get("recursive"):
            listed = [line.split("\t", 1) for line in git("ls-tree", "-r", "-t", "-z", match[1]).decode().split("\0")[:-1]]
            entries = [dict(zip(("mode", "type", "sha"), entry.split()), path=path) for entry, path in listed]
            return 200, {"sha": match[1], "tree": entries, "truncated": settings.get("has_cut_trees", False)}
        if match := re.fullmatch(r"/actions/runs/(\d+)/artifacts", path):
            shown = [like("artifact", id=n, **a["shown"]) for n, a in enumerate(settings["artifacts"])]
            return 200, {"total_count": len(shown), "artifacts": shown}
        if match := re.fullmatch(r"/actions/artifacts/(\d+)/zip", path):
            port = self.server.server_port
            raise Refused(302, "Found", headers={"location": f"http://localhost:{port}/elsewhere/{match[1]}"})
        if path == "/pulls":
            numbers = [int(n) for n in re.findall(rb"refs/pull/(\d+)/head", git("for-each-ref") or b"")]
            pulls = [like("pull-simple", **pull(n)) for n in numbers]
            wanted = [
                p
                for p in pulls
                if p["state"] == "open"
                and query.get("head") in (None, p["head"]["repo"]["full_name"].split("/")[0] + ":" + p["head"]["ref"])
            ]
            return 200, page(wanted, query)
        match = re.fullmatch(r"/pulls/(\d+)(/.*)?", path)
        if not match:
            raise Refused(404, "Not Found")
        number, rest = int(match[1]), match[2] or ""
        if rest == "":
            return 200, pull(number)
        pull(number)
        if rest == "/files":
            return 200, page([shown_file(file) for file in changed(number)[:3000]], query)
        if rest == "/comments":
            return 200, page([shown_comment(c) for c in state["comments"] if c["number"] == number], query)
        if rest == "/reviews" and method == "GET":
            seen = [r for r in state["reviews"] if r["number"] == number]
            seen = [r for r in seen if r["state"] != "PENDING" or r["user"]["id"] == user["id"]]
            return 200, page([shown_review(r) for r in seen], query)
        if rest == "/reviews":
            return 200, add_review(number, user, request)
        if (match := re.fullmatch(r"/reviews/(\d+)", rest)) and method == "DELETE":
            for review in state["reviews"]:
                if review["id"] == int(match[1]) and review["state"] == "PENDING":
                    state["reviews"].remove(review)
                    return 200, shown_review(review)
            raise invalid("Can not delete a non-pending pull request review")
        raise Refused(404, "Not Found")

    def answer_app(self, method, path, request):
        if path == "/app":
            return 200, like("app", slug="lastmile-app", id=12345)
        if path == f"/repos/{settings['repository']}/installation":
            return 200, like("installation", id=5)
        if method == "POST" and path == "/app/installations/5/access_tokens":
            if request != {"repositories": ["r"], "permissions": {"pull_requests": "write", "contents": "read"}}:
                raise invalid("more is asked for than is needed")
            return 201, like("token", token="app-token")
        raise Refused(404, "Not Found")

    def graphql(self, request):
        _, user = self.account()
        if settings.get("no_queries_left"):
            return {"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}
        variables = request["variables"]
        if "viewer" in request["query"]:
            return {"data": {"viewer": {"databaseId": user["id"], "login": user["login"]}}}
        if "resolveReviewThread" in request["query"]:
            if settings.get("no_resolving"):
                message = "Resource not accessible by integration"
                return {"data": {"resolveReviewThread": None}, "errors": [{"type": "FORBIDDEN", "message": message}]}
            state["resolved"].append(int(variables["id"].removeprefix("T")))
            return {"data": {"resolveReviewThread": {"thread": {"isResolved": True}}}}
        if re.search(r"\bdatabaseId\b", request["query"]):
            return {"data": None, "errors": [{"message": "Int cannot represent non 32-bit signed integer value"}]}
        firsts = [c for c in state["comments"] if c["number"] == variables["number"] and "in_reply_to" not in c]
        start = int(variables["after"] or 0)
        nodes = [
            {
                "id": f"T{c['id']}",
                "isResolved": c["id"] in state["resolved"],
                "comments": {"nodes": [{"fullDatabaseId": str(c["id"])}]},
            }
            for c in firsts[start : start + 100]
        ]
        info = {"hasNextPage": start + 100 < len(firsts), "endCursor": str(start + 100)}
        threads = {"pageInfo": info, "nodes": nodes}
        return {"data": {"repository": {"pullRequest": {"reviewThreads": threads}}}}


def page(items, query):
    size, number = min(int(query.get("per_page", 30)), 100), int(query.get("page", 1))
    return items[(number - 1) * size : number * size]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True


server = Server(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
print(server.server_port, flush=True)
sys.stdin.read()
