# Set environment
export ENVIRONMENT=staging
export AWS_REGION=us-east-1

# Run tests
python -m pytest backend/tests/test_secrets_manager.py -v
