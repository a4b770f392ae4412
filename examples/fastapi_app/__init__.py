"""A FastAPI application whose writes are mirrored to DynamoDB."""
