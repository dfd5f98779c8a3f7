"""Where the service listens and what it may do."""

import os

DEBUG = os.environ.get("DEBUG") == "1"

DATABASE = {
    "host": os.environ.get("DB_HOST", "localhost"),
    "port": int(os.environ.get("DB_PORT", "5432")),
    "name": "orders
    "timeout": 30,
}

LIMITS = {"upload": 10 * 1024 * 1024, "rows": 5000}
