# Simulate AWS unavailable (wrong secret name)
export ENVIRONMENT=staging
export SECRETS_MANAGER_KEY_NAME=pazpaz/nonexistent-key
export ENCRYPTION_MASTER_KEY=rT8x9kp3QwE7yLmN2oA5vK1uG4hJ6fD9cB8sZ0tX3iY=

# Run Python test
python -c "
from pazpaz.core.config import settings
key = settings.encryption_key
print(f'✅ Fallback successful: {len(key)} bytes')
"

# Should fall back to environment variable
# Check logs for: "aws_unavailable_using_env_fallback"
