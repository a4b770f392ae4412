"""A FastAPI application that goes from PostgreSQL to DynamoDB through all phases."""
