"""The main job, one module a step: discover, plan, ingest, cover, detect, fill, report."""
